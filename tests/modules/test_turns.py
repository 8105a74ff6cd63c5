"""Turns that senders take together, in the database: as many as the rate allows, and no moment twice."""

import threading

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.db import db, transaction
from mailer.delivery import providers, turns
from mailer.delivery.outcomes import Outcome
from mailer.delivery.providers import Allowance
from mailer.models import Pace
from mailer.states import DeliveryState

from ..installation import Installation

pytestmark = pytest.mark.usefixtures("app_context")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # whose clock can be moved


def take(wanted: int, rate: float = 10, horizon: float = float("inf")) -> turns.Turns:
    with transaction() as session:
        return turns.take(session, "a pace", rate, wanted, horizon)


@on_sqlite
def test_turns_follow_each_other_whoever_takes_them() -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        first, second = take(5), take(5)
        assert first.begins_in == pytest.approx(-turns.CREDIT)
        assert second.begins_in == pytest.approx(0.5 - turns.CREDIT)
        clock.shift(10)
        assert take(1).begins_in == pytest.approx(-turns.CREDIT), "idle time is not saved up for a burst"


@on_sqlite
def test_only_turns_that_come_soon_are_taken() -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        assert 10 <= take(100, horizon=1.0).number <= 11
        assert take(100, horizon=1.0).number == 0


@on_sqlite
def test_a_clock_that_is_set_back_stops_nobody() -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        take(1)
        clock.shift(-3600)
        assert take(1).begins_in <= 0


def test_senders_at_the_same_moment_take_different_turns(here: Installation) -> None:
    taken: list[turns.Turns] = []
    ready = threading.Barrier(8)

    def work(app: Flask) -> None:
        with app.app_context():
            ready.wait()
            taken.append(take(3, rate=1))

    threads = [threading.Thread(target=work, args=(here.app,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with here.app.app_context():
        row = db.session.get_one(Pace, "a pace")
    begun = sorted(each.begins_in for each in taken)
    assert len(taken) == 8
    assert begun[-1] > 20.5, "the last of eight comes after 21 turns of a second, less what it was waited for"
    assert row.free_at > 0


def complain(domain: str = "gmail.example", rate: float = 40) -> None:
    with transaction() as session:
        providers.slow_down(session, domain, rate)


def rates(**limits: float) -> dict[str, float]:
    return providers.rates(db.session(), {name.replace("_", "."): rate for name, rate in limits.items()})


@on_sqlite
def test_a_complaint_halves_a_rate_that_recovers_slowly() -> None:
    """D-88"""
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        complain()
        assert rates() == {"gmail.example": 20}
        complain()
        assert rates() == {"gmail.example": 20}, "of the same moment"
        clock.shift(31)
        complain()
        assert rates()["gmail.example"] == pytest.approx(10, rel=0.05)
        clock.shift(900)
        assert rates()["gmail.example"] == pytest.approx(20, rel=0.05)
        assert rates(gmail_example=15)["gmail.example"] == 15, "never more than the settings say"
        clock.shift(900 * 6)
        assert rates() == {}


@on_sqlite
def test_a_rate_never_falls_to_nothing() -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        for _ in range(20):
            complain(rate=1)
            clock.shift(31)
        assert rates()["gmail.example"] >= providers.SLOWEST


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("450 4.7.28 too many from you", True),
        ("421 4.7.0 try again later", True),
        ("451 4.7.1 greylisted", True),
        ("450 4.2.1 mailbox busy", False),
        ("450 please wait", False),
    ],
)
def test_what_is_a_complaint(reply: str, expected: bool) -> None:
    assert providers.complains(Outcome(DeliveryState.DEFERRED, reply)) is expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["a.example", "b.example", "c.example"]), max_size=60), st.integers(0, 30))
def test_letters_are_told_to_come_again_one_after_another(domains: list[str], number: int) -> None:
    found = providers.split(domains, {"a.example": Allowance(number, 2.0, 0.5)})
    theirs = [moment for name, moment in zip(domains, found, strict=True) if name == "a.example"]
    assert all(moment is None for name, moment in zip(domains, found, strict=True) if name != "a.example")
    assert theirs[:number] == [None] * len(theirs[:number])
    assert theirs[number:] == [2.0 + 0.5 * place for place in range(len(theirs[number:]))]
