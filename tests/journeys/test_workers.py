"""Sending by workers: the same commands and the same promise, over RabbitMQ and over Redis."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Connection

from mailer.broker import queue

from ..conftest import need
from ..installation import Installation
from ..servers import brokers
from ..servers.brokers import Broker
from ..servers.workers import beat, worker
from .test_processes import post, serving

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


# What is no broker's doing need not be tried with each.
on_redis = pytest.mark.parametrize("broker", ["redis"], indirect=True)


def everybody_once(there: Installation, count: int) -> None:
    copies = Counter(mail.to for mail in there.mail_server.mails)
    assert copies == {f"person{number}@example.org": 1 for number in range(count)}


def test_a_digest_goes_out_by_workers(there: Installation) -> None:
    there.imported(60)
    digest = there.draft()
    with worker(there.folder):
        said = there.run_apart("digest", "send", digest, "--yes")
    assert "60 enlisted = 60 accepted" in said
    everybody_once(there, 60)
    assert there.status(digest)["state"] == "sent"


@on_redis
def test_it_need_not_be_waited_for(there: Installation) -> None:
    there.imported(20)
    digest = there.draft()
    said = there.run_apart("digest", "send", digest, "--yes", "--detach")
    assert f"workers send digest {digest}" in said
    assert there.status(digest)["queued"] == 20
    with worker(there.folder):
        there.mail_server.wait_for(20)
    everybody_once(there, 20)


@on_redis
def test_what_is_left_to_workers_is_told_as_json_and_nothing_else(there: Installation) -> None:
    there.imported(3)
    digest = there.draft()
    told = json.loads(there.run_apart("digest", "send", digest, "--yes", "--detach", "--json"))
    assert told == there.status(digest)
    assert (told["state"], told["queued"]) == ("sending", 3)


@on_redis
def test_where_no_workers_send_nothing_can_be_left_to_them(there: Installation) -> None:
    there.configure(ENGINE="embedded")
    there.imported(1)
    assert "ENGINE is embedded" in there.run_apart("digest", "send", there.draft(), "--yes", "--detach", code=2)
    assert there.status(1)["state"] == "draft"


@on_redis
def test_a_letter_that_somebody_waits_for_overtakes_a_digest(there: Installation) -> None:
    """All processes of the only worker are busy with a digest that takes long; five seconds are a hundred letters."""
    there.configure(SEND_RATE=20)
    there.imported(400)
    with worker(there.folder, processes=2), serving(there) as url:
        there.run_apart("digest", "send", there.draft(), "--yes", "--detach")
        before = len(there.mail_server.wait_for(20))
        assert post(f"{url}/subscribe", email="ada@example.org") == 200
        there.mail_server.wait_for(before + 120)
        there.run_apart("digest", "cancel", 1)
    places = [place for place, mail in enumerate(there.mail_server.mails) if mail.to == "ada@example.org"]
    assert len(places) == 1
    assert places[0] < before + 120


@on_redis
def test_a_rate_is_kept_by_all_workers_together(there: Installation) -> None:
    """From the first second on, and not only on the whole."""
    there.configure(SEND_RATE=50, SEND_WORKERS=3)
    there.imported(500)
    with worker(there.folder, "one"), worker(there.folder, "two"):
        there.run_apart("digest", "send", there.draft(), "--yes")
    everybody_once(there, 500)
    times = sorted(mail.at for mail in there.mail_server.mails)
    assert 500 / 50 * 0.95 <= times[-1] - times[0] <= 500 / 50 * 1.3, "a machine that is busy may lose some turns"
    most = max(sum(start <= each < start + 3 for each in times) for start in times)
    assert most <= 3 * 50 * 1.1


def test_a_worker_that_is_killed_is_taken_over_from(there: Installation) -> None:
    """What the dead one had begun is unknown, a letter for each of its sessions at most; nobody is missed."""
    there.configure(SEND_RATE=60)
    there.imported(300)
    digest = there.draft()
    with worker(there.folder, "two", processes=2), beat(there.folder):
        with worker(there.folder, "one", processes=2) as first:
            there.run_apart("digest", "send", digest, "--yes", "--detach")
            there.mail_server.wait_for(60)
            first.kill()
        said = there.run_apart("digest", "send", digest)
    status = there.status(digest)
    assert status["state"] == "sent", said
    assert status["unknown"] <= 4, "two processes of two sessions each"
    assert status["accepted"] + status["unknown"] == 300
    copies = Counter(mail.to for mail in there.mail_server.mails)
    assert max(copies.values()) == 1
    assert len(copies) >= status["accepted"]


def test_a_broker_that_is_down_is_named_and_the_digest_goes_out_without_it(there: Installation) -> None:
    there.configure(
        BROKER_URL="amqp://guest:guest@127.0.0.1:1//" if "amqp" in str(there.settings) else "redis://127.0.0.1:1"
    )
    there.imported(3)
    digest = there.draft()
    said = there.run_apart("digest", "send", digest, "--yes", code=1)
    assert len(said.strip().splitlines()) == 1
    assert "the broker can't be reached" in said
    assert "MAILER_ENGINE=embedded" in said
    assert there.status(digest)["state"] == "draft", "nothing was begun"
    there.run_apart("digest", "send", digest, "--yes", MAILER_ENGINE="embedded")
    everybody_once(there, 3)


@on_redis
def test_a_sign_up_needs_no_broker(there: Installation, broker: Broker) -> None:
    """The letter lies in the database; a look at it finds it when the broker is there again."""
    there.configure(BROKER_URL="redis://127.0.0.1:1")
    there.sign_up("ada@example.org")
    there.configure(BROKER_URL=broker.url)
    with worker(there.folder), beat(there.folder):
        there.mail_server.wait_for(1)
    assert there.mail_server.mails[0].to == "ada@example.org"


def test_a_broker_that_is_restarted_in_mid_run_loses_nobody(there: Installation, broker: Broker) -> None:
    there.configure(SEND_RATE=60)
    there.imported(400)
    digest = there.draft()
    with worker(there.folder), beat(there.folder):
        there.run_apart("digest", "send", digest, "--yes", "--detach")
        there.mail_server.wait_for(60)
        broker.stop()
        there.mail_server.wait_for(150)
        broker.start()
        there.run_apart("digest", "send", digest)
    everybody_once(there, 400)
    assert there.status(digest)["state"] == "sent"


def test_two_clocks_and_messages_of_others_do_no_harm(there: Installation, broker: Broker) -> None:
    """Also those of a version that knows other tasks, or the same ones with other arguments."""
    there.imported(30)
    digest = there.draft()
    there.run_apart("digest", "send", digest, "--yes", "--detach")
    for name, arguments in (
        ("mailer.digest", [digest, 0]),
        ("mailer.digest", [999, 0]),
        ("mailer.digest", ["nonsense"]),
        ("mailer.digest", [digest, 0, "a new argument"]),
        ("mailer.tomorrow", []),
    ):
        publish(broker, name, arguments)
    with worker(there.folder) as only, beat(there.folder, "one"), beat(there.folder, "two"):
        there.mail_server.wait_for(30)
        there.sign_up("ada@example.org")
        there.mail_server.wait_for(31)
        only.wait_until_it_says("mailer.tomorrow")
        only.wait_until_it_says("no digest 999")
    everybody_once_and_ada(there)
    assert there.status(digest)["state"] == "sent"


def publish(broker: Broker, name: str, arguments: list[object]) -> None:
    with Connection(broker.url) as connection:
        Celery("others", broker=broker.url, set_as_current=False).send_task(
            name, arguments, connection=connection, queue=queue("digests")
        )


def everybody_once_and_ada(there: Installation) -> None:
    copies = Counter(mail.to for mail in there.mail_server.mails)
    assert len(copies) == 31
    assert set(copies.values()) == {1}
