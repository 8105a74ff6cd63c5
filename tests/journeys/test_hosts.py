"""Several machines: the database and the broker on one, a worker on each of two others, and what befalls them."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ..conftest import migrate, need, sqlalchemy_url
from ..installation import Installation
from ..servers import brokers, hosts, postgres
from ..servers.brokers import Broker
from ..servers.hosts import HERE, Host
from ..servers.smtp import SmtpServer
from ..servers.workers import beat, worker

PEOPLE = 900
RATE = 50
SESSIONS = 2
PROCESSES = 2


class Cluster(NamedTuple):
    """An installation whose database, broker and workers are on hosts of their own."""

    here: Installation
    broker: Broker
    home: Host
    one: Host
    two: Host

    def folder(self, host: Host) -> Path:
        """What a host has to itself: settings and journals."""
        path = self.here.folder / host.name
        path.mkdir(exist_ok=True)
        (path / "mailer.toml").write_bytes((self.here.folder / "mailer.toml").read_bytes())
        return path


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    binaries = postgres.find_binaries()
    need("postgres", binaries, postgres.ADVICE)
    need("redis", brokers.find("redis"), brokers.ADVICE["redis"])
    need("hosts", hosts.can_be_made(), hosts.ADVICE)
    assert binaries
    monkeypatch.chdir(tmp_path)
    with (
        hosts.network("home", "one", "two") as (home, one, two),
        postgres.postgres(binaries, home.address, home.inside) as server,
        brokers.broker("redis", host=home.address, inside=home.inside) as broker,
        SmtpServer(host=HERE) as mail_server,
    ):
        postgres.execute(server, "CREATE DATABASE list")
        url = sqlalchemy_url(server, "list")
        migrate(url)
        here = Installation(tmp_path, url, mail_server)
        here.configure(
            ENGINE="celery",
            BROKER_URL=broker.url,
            MAIL_SERVER=HERE,
            MAIL_ALLOW_PLAINTEXT="true",
            SEND_SESSIONS=SESSIONS,
            SEND_WORKERS=2 * PROCESSES,
            SEND_RATE=RATE,
        )
        yield Cluster(here, broker, home, one, two)
        here.close()


def test_hosts_that_die_or_are_cut_off_lose_nobody(cluster: Cluster) -> None:
    """A worker is killed and comes back, the other can't reach the database for a while, the broker is restarted."""
    here, mails = cluster.here, cluster.here.mail_server
    here.imported(PEOPLE)
    digest = here.draft()
    with (
        worker(cluster.folder(cluster.two), "two", processes=PROCESSES, inside=cluster.two.inside),
        beat(cluster.folder(cluster.home), inside=cluster.home.inside),
    ):
        with worker(cluster.folder(cluster.one), "one", processes=PROCESSES, inside=cluster.one.inside) as first:
            here.run_apart("digest", "send", digest, "--yes", "--detach")
            mails.wait_for(100)
            first.kill()
        mails.wait_for(150)
        with worker(cluster.folder(cluster.one), "one", processes=PROCESSES, inside=cluster.one.inside):
            mails.wait_for(200)
            cluster.home.refuse(cluster.two)
            cut_off = mails.wait_for(600)[500:]
            cluster.home.speak_to(cluster.two)
            for number in range(600, 680, 20):  # also in the middle of a transaction that others wait for
                mails.wait_for(number)
                cluster.home.refuse(cluster.two)
                mails.wait_for(number + 10)
                cluster.home.speak_to(cluster.two)
            cluster.broker.stop(signal.SIGKILL)
            mails.wait_for(700)
            cluster.broker.start()
            wait_until_sent(here, digest)
    assert {mail.client for mail in cut_off} == {cluster.one.address}, "who can't reach the database claims nothing"
    assert {mail.client for mail in mails.mails} == {cluster.one.address, cluster.two.address}
    status = here.status(digest)
    assert status["unknown"] <= PROCESSES * SESSIONS, "what the killed worker had on the wire"
    assert status["accepted"] + status["unknown"] == PEOPLE
    copies = Counter(mail.to for mail in mails.mails)
    assert max(copies.values()) == 1
    assert status["accepted"] <= len(copies) <= PEOPLE


def wait_until_sent(here: Installation, digest: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while here.status(digest)["state"] != "sent":
        assert time.monotonic() < deadline, here.status(digest)
        time.sleep(0.5)
