"""One answer for every state of an address; which letter follows depends on the state, and only its owner sees that."""

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import time_machine

from mailer.db import db, now
from mailer.models import Subscriber, Subscription
from mailer.states import EndedReason, SubscriptionState

from ..installation import BASE_URL, Installation, link_in

CONFIRMATION = "Confirm your subscription to Frontier Technologies"
ALREADY = "You are already subscribed to Frontier Technologies"
BEGIN = "2026-03-01T12:00:00Z"


def ended(here: Installation, reason: EndedReason, *, email: str = "ada@example.org") -> None:
    """What bounces and complaints bring about."""
    with here.app.app_context():
        mine = sa.select(Subscriber.id).where(Subscriber.email == email).scalar_subquery()
        values = {"state": SubscriptionState.ENDED, "ended_at": now(), "ended_reason": reason}
        db.session.execute(sa.update(Subscription).where(Subscription.subscriber_id == mine).values(values))
        db.session.commit()


def subjects(here: Installation) -> list[str]:
    return [mail.subject for mail in here.mail_server.mails]


def test_somebody_new_gets_a_confirmation(here: Installation) -> None:
    """D-116"""
    here.sign_up("ada@example.org")
    here.run("run-due")
    assert subjects(here) == [CONFIRMATION]


@pytest.mark.parametrize("reason", [EndedReason.UNSUBSCRIBED, EndedReason.BOUNCED, EndedReason.EXPIRED])
def test_who_left_or_could_not_be_reached_gets_a_confirmation(here: Installation, reason: EndedReason) -> None:
    """D-116"""
    here.subscribed("ada@example.org")
    ended(here, reason)
    here.sign_up("ada@example.org")
    here.run("run-due")
    assert subjects(here) == [CONFIRMATION]


@pytest.mark.parametrize(("at", "letters"), [("2026-03-01T12:09:00Z", 1), ("2026-03-01T12:11:00Z", 2)])
def test_who_is_pending_gets_it_again_within_the_limits(here: Installation, at: str, letters: int) -> None:
    """D-116"""
    with time_machine.travel(BEGIN) as clock:
        here.sign_up("ada@example.org")
        clock.move_to(at)
        here.sign_up("ada@example.org")
        here.run("run-due")
    assert subjects(here) == [CONFIRMATION] * letters


@pytest.mark.parametrize(("at", "letters"), [("2026-03-08T11:59:00Z", 1), ("2026-03-08T12:01:00Z", 2)])
def test_who_is_subscribed_is_told_so_once_in_seven_days(here: Installation, at: str, letters: int) -> None:
    """D-116"""
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("ada@example.org")
        here.sign_up("ada@example.org")
        clock.move_to(at)
        here.sign_up("ada@example.org")
        here.run("run-due")
    assert subjects(here) == [ALREADY] * letters
    assert "/manage/" in link_in(here.mail_server.mails[0], "manage")


def complain(here: Installation) -> None:
    here.subscribed("ada@example.org")
    ended(here, EndedReason.COMPLAINED)


def say_not_me(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.site.post(link_in(here.letters("ada@example.org")[0], "not-me"))
    here.mail_server.mails.clear()


@pytest.mark.parametrize("protest", [complain, say_not_me])
@pytest.mark.parametrize(("at", "letters"), [("2027-02-28T12:00:00Z", 0), ("2027-03-02T12:00:00Z", 1)])
def test_who_protested_gets_nothing_for_twelve_months(
    here: Installation, protest: Callable[[Installation], None], at: str, letters: int
) -> None:
    """D-116"""
    with time_machine.travel(BEGIN) as clock:
        protest(here)
        clock.move_to(at)
        here.sign_up("ada@example.org")
        here.site.post("/manage", data={"email": "ada@example.org"})
        here.run("run-due")
        assert subjects(here)[:1] == [CONFIRMATION][:letters]
        assert len(subjects(here)) == 2 * letters


def test_not_me_ends_the_request_keeps_evidence_and_can_be_taken_back(here: Installation) -> None:
    """D-40"""
    here.sign_up("ada@example.org")
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    link = link_in(letter, "not-me")
    assert "It was not me: send no more letters</button>" in here.site.get(link).text
    assert here.json("stats")["pending"] == 1, "opening the page changes nothing"
    for _ in range(2):
        assert "You will get no more of these letters" in here.site.post(link).text
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}
    assert here.site.post(link_in(letter, "confirm")).status_code == 410
    assert "Allow letters again" in here.site.get(link).text
    here.site.post(link, data={"undo": "yes"})
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")
    kinds = [event["kind"] for event in here.json("subscriber", "show", "ada@example.org")["consent"]]
    assert kinds == ["asked", "not-me", "not-me-undone", "asked", "confirmed"]


def test_a_letter_to_somebody_who_has_not_confirmed_holds_nothing_that_was_typed(here: Installation) -> None:
    """D-117: a form must not be good for sending others one's own words."""
    typed = {"name": "http://evil.example/win", "organisation": "Win a prize", "frequency": "monthly"}
    here.sign_up("ada@example.org", **typed)
    here.run("run-due")
    text = here.letters("ada@example.org")[0]
    for part in (text.subject, text.part("plain"), text.part("html")):
        assert "evil" not in part
        assert "prize" not in part


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_confirmation_says_all_that_one_needs_to_know(here: Installation, kind: str) -> None:
    """D-118"""
    here.configure(LIST_OWNER="frontier@lists.example.org")
    with time_machine.travel(BEGIN):
        here.sign_up("ada@example.org")
        here.run("run-due")
    text = " ".join(here.letters("ada@example.org")[0].part(kind).split())
    assert "the announcements of Frontier Technologies" in text
    assert "Requested on: 1 March 2026, 12:00 UTC" in text
    assert "The link works until: 8 March 2026, 12:00 UTC" in text
    assert "without your confirmation you will not be subscribed" in text
    assert f"{BASE_URL}/not-me/" in text
    assert "frontier@lists.example.org" in text
    assert text.count(f"{BASE_URL}/confirm/") == 1


def test_an_expired_link_offers_a_fresh_letter(here: Installation) -> None:
    """D-114"""
    with time_machine.travel(BEGIN) as clock:
        here.sign_up("ada@example.org")
        here.run("run-due")
        link = link_in(here.letters("ada@example.org")[0], "confirm")
        clock.move_to("2026-03-09T12:00:00Z")
        page = here.site.get(link)
        assert page.status_code == 410
        assert "Send me a new letter" in page.text
        assert "ada@example.org" not in page.text
        fresh = link.replace("?", "/fresh?")
        for _ in range(3):
            assert "Check your mail" in here.site.post(fresh).text
        here.run("run-due")
        assert len(here.letters("ada@example.org")) == 2, "one more, however often the button is pressed"
        here.confirm("ada@example.org")
    assert here.json("stats")["confirmed"] == 1


def test_every_link_of_a_request_works_until_the_first_is_used(here: Installation) -> None:
    """D-112: people click the older mail."""
    with time_machine.travel(BEGIN) as clock:
        here.sign_up("ada@example.org")
        clock.move_to("2026-03-05T12:00:00Z")
        here.sign_up("ada@example.org")
        here.run("run-due")
        first, second = (link_in(letter, "confirm") for letter in here.letters("ada@example.org"))
        assert "You are subscribed" in here.site.post(first).text
        here.run("subscriber", "unsubscribe", "ada@example.org")
        assert here.site.post(first).status_code == 410
        assert here.site.post(second).status_code == 410


def at_once(times: int, act: Callable[[], int]) -> list[int]:
    """What `act` gives when so many do it at the same moment."""
    results: list[int] = []
    ready = threading.Barrier(times)

    def run() -> None:
        ready.wait()
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_button_pressed_by_many_at_once_counts_once(here: Installation) -> None:
    """D-114: concurrent POSTs make one event; the same of leaving."""
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    leave = link_in(here.letters("ada@example.org")[0], "unsubscribe")
    assert at_once(8, lambda: here.site.post(leave).status_code) == [200] * 8
    assert at_once(8, lambda: here.site.post("/subscribe", data={"email": "ada@example.org"}).status_code) == [200] * 8
    here.run("run-due")
    assert len(here.letters("ada@example.org")) == 2
    confirm = link_in(here.letters("ada@example.org")[-1], "confirm")
    assert at_once(8, lambda: here.site.post(confirm).status_code) == [200] * 8
    kinds = [event["kind"] for event in here.json("subscriber", "show", "ada@example.org")["consent"]]
    assert kinds == ["asked", "confirmed", "unsubscribed", "asked", "confirmed"]
