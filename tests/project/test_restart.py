"""PostgreSQL is restarted under a site, a sender and workers: who comes at that moment is told to come again, and
nobody is lost."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..chaos.cluster import Cluster
from ..conftest import migrate, need
from ..installation import Installation, leave_link
from ..servers import brokers, postgres
from ..servers.brokers import Broker
from ..servers.ports import free_port
from ..servers.workers import beat, worker

LETTERS = 300
PATIENCE = 60


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    binaries = postgres.find_binaries()
    need("postgres", binaries, postgres.ADVICE)
    assert binaries
    with Cluster(binaries) as running:
        yield running


@pytest.fixture
def database_url(cluster: Cluster) -> str:
    url = cluster.create("mailer")
    migrate(url)
    return url


@pytest.fixture
def redis() -> Iterator[Broker]:
    need("redis", brokers.find("redis"), brokers.ADVICE["redis"])
    with brokers.broker("redis") as server:
        yield server


@contextmanager
def program(here: Installation, name: str, *arguments: str) -> Iterator[Path]:
    """A program of ours in the background, and what it says; it must end cleanly when it is told to."""
    log = here.folder / f"{name}.log"
    with log.open("wb") as said:
        process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=here.folder, stdout=said, stderr=said)
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    assert (code, "Traceback" in log.read_text(encoding="utf-8")) == (0, False), log.read_text(encoding="utf-8")


def ask(url: str, **fields: str) -> int:
    """The status of a form's answer; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode() or None, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError:
        return 0


def wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while ask(f"{url}/healthz") != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_restart_of_the_database_loses_nobody(here: Installation, cluster: Cluster) -> None:
    here.imported(LETTERS)
    here.configure(SEND_RATE=60)
    digest, port = here.draft(), free_port()
    url = f"http://127.0.0.1:{port}"
    site = ("gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "2", "mailer.app:create_app()")
    with program(here, "gunicorn", *site), program(here, "work", "mailer", "work"):
        wait_for(url)
        soon = datetime.now(UTC) + timedelta(seconds=3)
        here.run("digest", "send", digest, "--yes", "--at", soon.isoformat())
        here.mail_server.wait_for(LETTERS // 3)
        assert ask(f"{url}/subscribe", email="before@example.org") == 200
        here.close()
        cluster.stop()
        told = {ask(f"{url}/subscribe", email="meanwhile@example.org") for _ in range(4)}
        cluster.start()
        assert ask(f"{url}/subscribe", email="after@example.org") == 200
        assert {ask(f"{url}/archive"), ask(url + leave_link(here.mail_server.mails[0]))} == {200}
        here.mail_server.wait_for(LETTERS + 2)
        wait_until_sent(here, digest)
    assert told == {503}, "an honest answer while there is no database"
    received = nobody_twice(here)
    account = here.status(digest)
    assert account["accepted"] + account["unknown"] + account["cancelled"] == LETTERS
    assert {"before@example.org", "after@example.org"} <= received
    assert here.counts()["pending"] == 2


def test_a_restart_of_the_database_under_workers_loses_nobody(
    here: Installation, cluster: Cluster, redis: Broker
) -> None:
    """Their connections are dead and their messages used up: the clock's next look at the database hands out new ones.
    What a worker could not write down is in its journal."""
    here.imported(LETTERS)
    here.configure(SEND_RATE=60, ENGINE="celery", BROKER_URL=redis.url, SEND_SESSIONS=2, SEND_WORKERS=2)
    digest = here.draft()
    with worker(here.folder, "one") as one, worker(here.folder, "two") as two, beat(here.folder):
        here.run_apart("digest", "send", digest, "--yes", "--detach")
        here.mail_server.wait_for(LETTERS // 3)
        here.close()
        cluster.stop()
        cluster.start()
        here.run_apart("digest", "send", digest)
    assert "Traceback" not in one.said + two.said
    nobody_twice(here)
    account = here.status(digest)
    assert account["state"] == "sent"
    assert account["accepted"] + account["unknown"] == LETTERS
    assert account["unknown"] <= 4, "a letter for each session of two workers with two sessions each"


def nobody_twice(here: Installation) -> set[str]:
    """Who has a letter."""
    received = sorted(mail.to for mail in here.mail_server.mails)
    assert len(set(received)) == len(received)
    return set(received)


def wait_until_sent(here: Installation, digest: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while here.status(digest)["state"] != "sent":
        assert time.monotonic() < deadline
        time.sleep(0.2)
