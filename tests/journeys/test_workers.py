"""Sending by workers: the same commands and the same promise, over RabbitMQ and over Redis."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import need
from ..installation import Installation
from ..servers import brokers
from ..servers.brokers import Broker
from ..servers.workers import beat, worker

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    yield from running("rabbitmq")


@pytest.fixture(scope="session")
def redis() -> Iterator[Broker]:
    yield from running("redis")


def running(kind: str) -> Iterator[Broker]:
    need(kind, brokers.find(kind), brokers.ADVICE[kind])
    with brokers.broker(kind) as server:
        yield server


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def there(here: Installation, broker: Broker) -> Installation:
    here.configure(ENGINE="celery", BROKER_URL=broker.url, SEND_SESSIONS=2, SEND_WORKERS=2)
    return here


def mailer(there: Installation, *arguments: object, code: int = 0, **environ: str) -> str:
    """`mailer ARGUMENTS…` as a process of its own: a broker's connections outlive no other."""
    command = [sys.executable, "-m", "mailer", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=there.folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def everybody_once(there: Installation, count: int) -> None:
    copies = Counter(mail.to for mail in there.mail_server.mails)
    assert copies == {f"person{number}@example.org": 1 for number in range(count)}


def test_a_digest_goes_out_by_workers(there: Installation) -> None:
    there.imported(60)
    digest = there.draft()
    with worker(there.folder):
        said = mailer(there, "digest", "send", digest, "--yes")
    assert "60 enlisted = 60 accepted" in said
    everybody_once(there, 60)
    assert there.status(digest)["state"] == "sent"
