"""What a run says of itself: counts, and how fast it has been of late."""

from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery import meter
from mailer.delivery.meter import Meter
from mailer.states import DeliveryState

from .clock import Clock, clock_of

ACCEPTED, DEFERRED, BOUNCED = DeliveryState.ACCEPTED, DeliveryState.DEFERRED, DeliveryState.BOUNCED


@pytest.fixture
def clock() -> Iterator[Clock]:
    with clock_of(meter) as made:
        yield made


def run(found: Meter, clock: Clock, seconds: float, a_second: int, state: DeliveryState = ACCEPTED) -> None:
    """Letters that end so, ten turns a second."""
    for _ in range(round(seconds * 10)):
        clock.now += 0.1
        found.count([(state, 0)] * (a_second // 10))


def test_letters_are_counted_by_their_end_and_by_whether_they_had_been_put_off() -> None:
    found = Meter()
    found.count([(ACCEPTED, 0), (ACCEPTED, 1), (DEFERRED, 0)])
    found.count([])
    found.count([(DEFERRED, 2), (BOUNCED, 0)])
    assert dict(found.counts) == {ACCEPTED: 2, DEFERRED: 2, BOUNCED: 1}
    assert found.retried == 2


def test_before_the_first_letter_there_is_no_rate(clock: Clock) -> None:
    assert Meter().rate() == 0.0
    found = Meter()
    clock.now += 5
    assert found.rate() == 0.0


def test_the_rate_is_right_from_the_first_second_on(clock: Clock) -> None:
    found = Meter()
    for _ in range(40):
        run(found, clock, 1, 100)
        assert found.rate() == pytest.approx(100)


def test_only_what_was_accepted_makes_the_rate(clock: Clock) -> None:
    found = Meter()
    run(found, clock, 5, 100, DEFERRED)
    run(found, clock, 5, 100, BOUNCED)
    assert found.rate() == 0.0


@pytest.mark.parametrize(("before", "after"), [(1000, 10), (10, 1000), (500, 0)])
def test_what_is_longer_ago_than_ten_seconds_is_forgotten(clock: Clock, before: int, after: int) -> None:
    found = Meter()
    run(found, clock, 60, before)
    run(found, clock, 5, after)
    assert found.rate() == pytest.approx((before + after) / 2, rel=0.05)
    run(found, clock, 6, after)
    assert found.rate() == pytest.approx(after)


def test_a_rate_that_is_asked_for_later_has_sunk(clock: Clock) -> None:
    found = Meter()
    run(found, clock, 10, 100)
    clock.now += 10
    assert found.rate() == pytest.approx(50, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), min_size=1, max_size=60))
def test_the_rate_is_that_of_the_last_ten_or_eleven_seconds(turns: list[tuple[float, int]]) -> None:
    """A run takes a turn every second at least."""
    with clock_of(meter) as clock:
        found, start = Meter(), clock.now
        for pause, letters in turns:
            clock.now += pause
            found.count([(ACCEPTED, 0)] * letters)
        elapsed = clock.now - start
        ends = accumulate(pause for pause, _ in turns)
        ages = [(elapsed - end, letters) for end, (_, letters) in zip(ends, turns, strict=True)]
        if elapsed > 0.001:
            least = sum(letters for age, letters in ages if age < 9.999) / min(elapsed, 11.001)
            most = sum(letters for age, letters in ages if age < 11.001) / min(elapsed, 9.999)
            assert least <= found.rate() * 1.001
            assert found.rate() <= most * 1.001
