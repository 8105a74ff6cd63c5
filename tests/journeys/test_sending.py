"""A digest on its way: told what to do from another terminal, interrupted, refused by a provider in trouble."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from mailer.db import db, now
from mailer.models import Subscription
from mailer.states import EndedReason, SubscriptionState

from ..installation import Installation
from ..servers.ports import free_port
from .test_processes import finish, start


@contextmanager
def being_sent(here: Installation, rate: int, received: int) -> Iterator[int]:
    """A digest that another process is sending, once so many have it; at the end that process must end, too."""
    here.configure(SEND_RATE=rate)
    digest = here.draft()
    process = start(here, "digest", "send", str(digest), "--yes")
    try:
        here.mail_server.wait_for(received)
        yield digest
    finally:
        finish(process)


def copies(here: Installation) -> list[str]:
    return sorted(mail.to for mail in here.mail_server.mails)


def test_its_rate_is_changed_from_another_terminal(here: Installation) -> None:
    here.imported(300)
    with being_sent(here, rate=10, received=3) as digest:
        said = here.error("digest", "send", digest, "--rate", 0, code=3)
        assert "another process" in said
    assert here.status(digest)["accepted"] == 300


def test_a_rate_holds_for_a_digest_that_goes_out_later_too(here: Installation) -> None:
    here.imported(20)
    digest, hour = here.draft(), timedelta(hours=1)
    with time_machine.travel(now() - 2 * hour):
        here.run("digest", "send", digest, "--yes", "--rate", 10, "--at", (now() + hour).isoformat())
    here.run("run-due")
    times = sorted(mail.at for mail in here.mail_server.mails)
    assert len(times) == 20
    assert times[-1] - times[0] >= 19 / 10 * 0.9


def lately(here: Installation) -> float:
    """Letters a second in the last ten seconds."""
    arrived = [mail.at for mail in here.mail_server.mails]
    recent = [at for at in arrived if at > arrived[-1] - 10]
    return (len(recent) - 1) / (recent[-1] - recent[0])


def test_its_pace_can_be_seen_from_another_terminal(here: Installation) -> None:
    """The rate is that at which letters arrive by the mail server's own times, once that is steady; the sender tells it
    once a second."""
    here.imported(1000)
    with being_sent(here, rate=20, received=40) as digest:
        while (seen := here.status(digest))["rate"] != pytest.approx(lately(here), rel=0.15):
            assert seen["accepted"] < 900, (seen["rate"], lately(here))
        left = seen["enlisted"] - seen["accepted"]
        assert seen["eta_seconds"] == pytest.approx(left / seen["rate"], abs=1.5)
        assert "a second" in here.run("digest", "status", digest).stdout
        here.run("digest", "send", digest, "--rate", 0, code=3)
    assert here.status(digest)["rate"] is None, "nobody is at it any more"


@pytest.mark.parametrize(
    ("verb", "state", "left"), [("pause", "paused", "queued"), ("cancel", "cancelled", "cancelled")]
)
def test_it_is_stopped_from_another_terminal(here: Installation, verb: str, state: str, left: str) -> None:
    here.imported(200)
    with being_sent(here, rate=10, received=5) as digest:
        here.run("digest", verb, digest)
        before = len(here.mail_server.mails)
    received = len(here.mail_server.mails)
    assert received - before <= 30, "what it sends in three seconds, by its own pace"
    account = here.status(digest)
    assert (account["state"], account["accepted"], account[left]) == (state, received, 200 - received)
    if verb == "pause":
        here.configure(SEND_RATE=0)
        here.run("digest", "resume", digest)
        here.run("digest", "send", digest)
        assert copies(here) == sorted(f"person{number}@example.org" for number in range(200))


def test_who_leaves_while_it_is_sent_gets_nothing_more(here: Installation) -> None:
    here.imported(100)
    with being_sent(here, rate=10, received=3) as digest:
        here.run("subscriber", "unsubscribe", "person99@example.org")
        here.run("digest", "send", digest, "--rate", 0, code=3)
    assert here.mail_server.to("person99@example.org") == []
    account = here.status(digest)
    assert (account["accepted"], account["cancelled"]) == (99, 1)


def people(here: Installation, *emails: str) -> None:
    rows = "".join(f"{email}\n" for email in emails)
    here.run("subscriber", "import", here.write("some.csv", f"email\n{rows}"), "--basis", "a test")


def test_a_provider_that_refuses_everybody_makes_nobody_bounce(here: Installation) -> None:
    people(here, *(f"person{number}@trouble.example.org" for number in range(60)), "ada@example.org")
    here.mail_server.answer("RCPT", "@trouble", "550 5.1.1 no such user")
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        digest = here.draft()
        here.run("digest", "send", digest, "--yes", code=1)
        account = here.status(digest)
        assert (account["accepted"], account["bounced"], account["deferred"]) == (1, 0, 60)
        here.mail_server.rules.clear()
        clock.move_to("2026-03-01T14:00:00Z")
        here.run("run-due")
    assert here.status(digest)["accepted"] == 61
    assert len(copies(here)) == 61


def test_a_server_that_refuses_every_letter_stops_the_run_and_blocks_nobody(here: Installation) -> None:
    people(here, *(f"ada@site{number}.example.org" for number in range(50)))
    here.mail_server.answer("DOT", "", "554 5.7.1 we take none of this")
    digest = here.draft()
    assert "refuses every letter" in here.error("digest", "send", digest, "--yes")
    assert here.status(digest)["blocked"] <= 8, "but for those that were on the wire"


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "another's", "gone"])
def test_a_journal_that_can_not_be_trusted_is_refused(here: Installation, damage: str) -> None:
    here.imported(100)
    here.configure(SEND_RATE=50)
    digest = here.draft()
    process = start(here, "digest", "send", str(digest), "--yes")
    here.mail_server.wait_for(20)
    process.kill()
    finish(process)
    (journal,) = (here.folder / "journal").glob("*.journal")
    spoil(journal, damage)
    here.configure(SEND_RATE=0)
    code, _, said = finish(start(here, "digest", "send", str(digest)))
    assert (code, "not trusted" in said, "Traceback" in said) == (0, True, False), said
    account = here.status(digest)
    assert account["accepted"] + account["unknown"] == 100
    assert account["unknown"] > 4, "all that it should have told about"
    assert len(copies(here)) == len(set(copies(here)))


def spoil(journal: Path, damage: str) -> None:
    octets = journal.read_bytes()
    if damage == "gone":
        journal.unlink()
        return
    spoilt = {
        "truncated": octets[: len(octets) // 2],
        "empty": b"",
        "garbage": octets[:-30] + b"\0" * 30,
        "another's": octets.replace(b"journal-1 ", b"journal-1 x"),
    }
    journal.write_bytes(spoilt[damage])


def test_a_journal_leaves_only_what_was_on_the_wire_in_doubt(here: Installation) -> None:
    here.imported(100)
    here.configure(SEND_RATE=50, SEND_SESSIONS=2)
    digest = here.draft()
    process = start(here, "digest", "send", str(digest), "--yes")
    here.mail_server.wait_for(20)
    process.kill()
    finish(process)
    here.configure(SEND_RATE=0)
    finish(start(here, "digest", "send", str(digest)))
    account = here.status(digest)
    assert account["unknown"] <= 2
    assert account["accepted"] + account["unknown"] == 100
    assert not list((here.folder / "journal").glob("*.journal")), "nothing is left behind"


def test_a_crowd_that_left_does_not_end_the_run_before_the_others(here: Installation) -> None:
    here.imported(400)
    port = here.mail_server.port
    here.configure(MAIL_PORT=free_port())
    digest = here.draft()
    here.error("digest", "send", digest, "--yes")  # enlisted, and nobody has it
    with here.app.app_context():
        crowd = sa.select(Subscription.id).order_by(Subscription.subscriber_id).limit(350)
        ended = {"state": SubscriptionState.ENDED, "ended_at": now(), "ended_reason": EndedReason.UNSUBSCRIBED}
        db.session.execute(sa.update(Subscription).where(Subscription.id.in_(crowd)).values(ended))
        db.session.commit()
    here.configure(MAIL_PORT=port)
    here.run("digest", "send", digest)
    account = here.status(digest)
    assert (account["state"], account["accepted"], account["cancelled"]) == ("sent", 50, 350)


def test_a_refusal_lets_the_letters_on_the_wire_finish(here: Installation) -> None:
    here.imported(60)
    here.configure(SEND_SESSIONS=8)
    here.mail_server.answer("MAIL", "", "550 5.7.1 enough of you")
    here.mail_server.answer("MAIL", "", "250 2.1.0 ok", times=30)
    digest = here.draft()
    assert "550" in here.error("digest", "send", digest, "--yes")
    account = here.status(digest)
    assert (account["sending"], account["unknown"]) == (0, 0)
    assert account["accepted"] == len(here.mail_server.mails)
    assert not list((here.folder / "journal").glob("*.journal"))


def mixed(here: Installation, count: int, *, slow: str = "slow.example") -> None:
    """Every other one of `count` people is at one provider."""
    rows = "".join(f"person{number}@{slow if number % 2 else 'other.example'}\n" for number in range(count))
    here.run("subscriber", "import", here.write("people.csv", f"email\n{rows}"), "--basis", "a test")


def test_a_provider_with_a_rate_of_its_own_holds_nobody_else_up(here: Installation) -> None:
    """D-88"""
    here.configure(PROVIDER_RATES="slow.example=10")
    mixed(here, 100)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert here.status(digest)["accepted"] == 100
    theirs = [mail.at for mail in here.mail_server.mails if mail.to.endswith("@slow.example")]
    others = [place for place, mail in enumerate(here.mail_server.mails) if mail.to.endswith("@other.example")]
    assert max(others) < 80, "those of others did not wait"
    assert theirs[-1] - theirs[0] >= 3, "50 letters, ten a second, of which a second's go at once"
    assert {line["attempts"] for line in here.json("digest", "report", digest)} == {1}


def test_a_provider_that_complains_gets_less_and_holds_nobody_else_up(here: Installation) -> None:
    """D-88"""
    here.mail_server.answer("RCPT", "@slow.example", "450 4.7.28 unusual rate of mail", times=1)
    here.configure(SEND_SESSIONS=1, SEND_RATE=40)
    mixed(here, 100)
    digest = here.draft()
    said = here.run("digest", "send", digest, "--yes", code=1).output
    status = here.status(digest)
    assert (status["deferred"], status["accepted"]) == (1, 99), said
    theirs = [mail.at for mail in here.mail_server.mails if mail.to.endswith("@slow.example")]
    others = [mail.at for mail in here.mail_server.mails if mail.to.endswith("@other.example")]
    assert theirs[-1] > others[-1] + 0.5, "they had half of what they had before"
