"""Signing up at the same moment: for each the same comes of it as if they had asked one after the other."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from mailer.addresses import parse
from mailer.db import transaction
from mailer.errors import TooMany
from mailer.lists import list_id
from mailer.states import Frequency
from mailer.subscriptions import consent
from mailer.subscriptions.asking import SignUp
from mailer.subscriptions.throttle import Proof, Visitor
from mailer.subscriptions.verbs import Request, take_in

from ..installation import Installation

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COLUMNS = "email,state,ended_reason,ended_at,not_me_at,language,frequency,topics"
KNOWN = {
    "pending": "pending,,,,,,",
    "confirmed": "confirmed,,,,fr,monthly,policy",
    "ended": "ended,unsubscribed,,,fr,monthly,policy",
    "complained": "ended,complained,,,,,",
    "not-me": f"ended,unsubscribed,{NOW - timedelta(days=1)},{NOW - timedelta(days=1)},,,",
    "forgotten": f"ended,unsubscribed,{NOW - timedelta(days=100)},,,,",
    "never": "confirmed,,,,,,",
}
NAMES = ("new", "new+x", "New+Y", "other", "Other", "pending+z", "moving", *KNOWN)
# All that a sign-up may change, without numbers and random names.
SEEN = (
    "SELECT email, email_key, email_hash, language, created_at, erased_at FROM subscriber",
    "SELECT email, email_hash, p.state, p.frequency, requested_at, confirmed_at, ended_at, ended_reason, not_me_at,"
    " paused_until, owed_since, owed_by FROM subscription p JOIN subscriber s ON s.id = subscriber_id",
    "SELECT email, letter, e.language, d.state, d.created_at, next_at FROM delivery d"
    " JOIN edition e ON e.id = edition_id JOIN subscriber s ON s.id = subscriber_id",
    "SELECT email, kind, c.at, c.language, c.frequency, CAST(c.topics AS TEXT), ip FROM consent_event c"
    " JOIN subscription p ON p.id = subscription_id JOIN subscriber s ON s.id = subscriber_id",
    "SELECT email, topic.key FROM subscription_topic JOIN topic ON topic.id = topic_id"
    " JOIN subscription p ON p.id = subscription_id JOIN subscriber s ON s.id = subscriber_id",
    "SELECT email, asked_at, done_at FROM move"
    " JOIN subscription p ON p.id = to_id JOIN subscriber s ON s.id = subscriber_id",
    "SELECT key, at, count, until FROM throttle",
)
Told = list[tuple[str, int] | None]


def people(here: Installation) -> None:
    here.run("topic", "add", "policy", "--name", "en=Policy")
    here.run("topic", "add", "events", "--name", "en=Events")
    rows = [f"{name}@example.org,{rest}" for name, rest in KNOWN.items()]
    here.run("subscriber", "import", here.write("people.csv", "\n".join([COLUMNS, *rows])), "--basis", "a test")
    here.run("run-due")
    here.run("subscriber", "erase", "never@example.org", "--never-again")
    here.subscribed("mover@example.org")
    assert (
        here.site.post(here.manage_link("mover@example.org"), data={"email": "moving@example.org"}).status_code == 200
    )


visitors = st.builds(
    Visitor,
    ip=st.sampled_from([ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("198.51.100.1")]),
    hasty=st.sampled_from([False, False, True]),
    proof=st.none()
    | st.builds(Proof, st.sampled_from(["one", "two"]), st.just(NOW + timedelta(hours=1)), st.booleans()),
)
sign_ups = st.builds(
    SignUp,
    address=st.sampled_from(NAMES).map(lambda name: parse(f"{name}@example.org")),
    language=st.sampled_from(["en", "fr"]),
    frequency=st.sampled_from(Frequency),
    topics=st.lists(st.sampled_from(["events", "policy", "no such"]), max_size=3, unique=True),
)


def told(errors: Sequence[Exception | None]) -> Told:
    return [(type(each).__name__, each.seconds) if isinstance(each, TooMany) else None for each in errors]


def outcome(do: Callable[[Session], Sequence[Exception | None]]) -> tuple[Told, list[list[tuple[Any, ...]]]]:
    """What all are told and what is in the database then; it is taken back."""
    with transaction() as session:
        errors = do(session)
        seen = [sorted(map(tuple, session.execute(sa.text(query))), key=repr) for query in SEEN]
        session.rollback()
    return told(errors), seen


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=st.lists(st.tuples(sign_ups, st.none() | visitors), min_size=2, max_size=8))
def test_at_once_or_one_after_the_other_is_the_same(
    here: Installation, wishes: list[tuple[SignUp, Visitor | None]]
) -> None:
    if not (here.folder / "people.csv").exists():
        here.configure(LIMIT_ADDRESS="2/1d", LIMIT_CLIENT="3/1h", LIMIT_WAITING="1/1h", LIMIT_FACTOR=2, ATTACK_RATIO=0)
        with time_machine.travel(NOW - timedelta(hours=1), tick=False):
            people(here)
    with time_machine.travel(NOW, tick=False), here.app.test_request_context():
        evidence = consent.shown("a test")
        requests = [Request(list_id(), person, evidence, visitor) for person, visitor in wishes]
        at_once = outcome(lambda session: take_in(session, requests))
        in_turn = outcome(lambda session: [error for each in requests for error in take_in(session, [each])])
    assert at_once == in_turn
