"""The rate limit: as fast as was asked for and no faster, without bursts, whoever takes the turns."""

import heapq
import random
import sys
import threading
from collections.abc import Iterator
from itertools import cycle, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.delivery import pace
from mailer.delivery.pace import Pace

from .clock import Clock, clock_of

LATE = 0.02  # seconds that a session may come late for its turn
TINY = 1e-6  # what sums of floating-point numbers may be off by


@pytest.fixture
def clock() -> Iterator[Clock]:
    with clock_of(pace) as made:
        yield made


class Sessions:
    """Take turns: each waits until the next one is due, comes a little late, and is busy with a letter for a while."""

    def __init__(self, clock: Clock, limit: Pace, count: int = 1, busy: float = 0.0) -> None:
        self.clock, self.limit, self.busy = clock, limit, busy
        self.chance = random.Random(1)
        self.due = [(clock.now, number) for number in range(count)]

    def work(self, seconds: float) -> list[float]:
        """The moments of the turns that they took, counted from now."""
        begun, turns = self.clock.now, list[float]()
        while self.due[0][0] < begun + seconds:
            self.clock.now, session = heapq.heappop(self.due)
            if self.limit.take():
                turns.append(self.clock.now - begun)
                pause = self.busy + TINY
            else:
                pause = self.limit.wait() + self.chance.uniform(TINY, LATE)
            heapq.heappush(self.due, (self.clock.now + pause, session))
        self.clock.now = begun + seconds
        return turns


def in_each_second(turns: list[float], seconds: float) -> list[int]:
    """How many turns there were in each second that begins or ends with one."""
    starts = [start for turn in turns for start in (turn, turn + TINY, turn - 1) if 0 <= start <= seconds - 1]
    return [sum(start <= turn < start + 1 for turn in turns) for start in starts]


@settings(max_examples=40)
@given(st.integers(2, 200), st.integers(1, 8), st.floats(0, 1))
def test_any_second_has_as_many_turns_as_were_asked_for(rate: int, sessions: int, effort: float) -> None:
    """Within a twentieth and one, from the first second on."""
    busy = min(0.02, effort * 0.5 * sessions / rate)
    with clock_of(pace) as clock:
        turns = Sessions(clock, Pace(rate), sessions, busy).work(3)
    counts = in_each_second(turns, 3)
    assert max(counts) <= rate * 1.05 + 1
    assert min(counts) >= rate * 0.95 - 1
    assert sum(turn < 1 for turn in turns) <= rate * 1.05 + 1


def test_without_a_rate_nobody_waits(clock: Clock) -> None:
    limit = Pace(0)
    assert all(limit.take() for _ in range(10_000))
    assert limit.wait() == 0.0


def test_the_first_turn_is_at_once_and_the_next_an_interval_later(clock: Clock) -> None:
    limit = Pace(10)
    assert (limit.wait(), limit.take(), limit.take()) == (0.0, True, False)
    assert limit.wait() == pytest.approx(0.1)
    clock.now += 0.099
    assert not limit.take()
    clock.now += 0.002
    assert (limit.wait(), limit.take(), limit.take()) == (0.0, True, False)


def test_who_asks_in_vain_takes_nothing(clock: Clock) -> None:
    limit = Pace(10)
    limit.take()
    for _ in range(1000):
        assert not limit.take()
    assert limit.wait() == pytest.approx(0.1)


@pytest.mark.parametrize("idle", [0.2, 1, 3600])
def test_idle_time_is_not_saved_up_for_a_burst(clock: Clock, idle: float) -> None:
    limit = Pace(100)
    limit.take()
    clock.now += idle
    at_once = sum(limit.take() for _ in range(1000))
    assert at_once <= 100 * 0.05 + 1


def test_a_run_that_begins_late_begins_without_a_burst(clock: Clock) -> None:
    limit = Pace(100)
    clock.now += 60
    assert max(in_each_second(Sessions(clock, limit, 4).work(3), 3)) <= 106


@pytest.mark.parametrize("sessions", [1, 4])
@pytest.mark.parametrize(("before", "after"), [(5, 200), (200, 5), (0, 50), (50, 0)])
def test_a_rate_that_changes_while_they_work_holds_from_then_on(
    clock: Clock, sessions: int, before: int, after: int
) -> None:
    limit = Pace(before)
    team = Sessions(clock, limit, sessions, busy=0.001)
    team.work(2)
    limit.rate = after
    turns = team.work(4)
    settled = [turn - 1 for turn in turns if turn >= 1]  # a turn that is waited for comes when it was due
    if after:
        assert len([turn for turn in turns if turn < 1]) <= after * 1.05 + 1
        assert all(after * 0.95 - 1 <= count <= after * 1.05 + 1 for count in in_each_second(settled, 3))
    else:
        assert len(settled) > 2000


def test_a_slower_rate_leaves_no_debt_and_a_faster_one_no_credit(clock: Clock) -> None:
    limit = Pace(1)
    Sessions(clock, limit, 8).work(10)
    limit.rate = 100
    turns = Sessions(clock, limit, 8).work(3)
    assert turns[0] <= 1, "the one turn that was waited for"
    assert all(later - earlier <= 0.05 for earlier, later in pairwise(turns))
    assert max(in_each_second(turns, 3)) <= 106


def test_a_rate_may_be_changed_by_another_thread_at_any_moment() -> None:
    limit, done, before = Pace(10**9), threading.Event(), sys.getswitchinterval()

    def change() -> None:
        for limit.rate in cycle((0, 10**9)):
            if done.is_set():
                return

    other = threading.Thread(target=change)
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        assert sum(limit.take() for _ in range(300_000)), "and turns are given all the while"
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(before)
