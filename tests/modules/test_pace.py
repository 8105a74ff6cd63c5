"""The rate limit: never faster, never in bursts, never in the way of a stop. Nothing here is about being fast."""

import threading
import time

from mailer.delivery.pace import Pace

PATIENCE = 30  # seconds after which a thread that should have returned is taken to hang


class Recorder(threading.Event):
    """A stop event that nobody sets: notes until when each caller was told to wait, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.turns.append(time.monotonic() + (timeout or 0))
        return False


def wait_often(pace: Pace, stop: threading.Event, times: int) -> threading.Thread:
    """A session that takes so many turns, started."""

    def take_turns() -> None:
        for _ in range(times):
            pace.wait(stop)

    session = threading.Thread(target=take_turns, daemon=True)
    session.start()
    return session


def test_without_a_rate_nobody_waits() -> None:
    recorder, pace = Recorder(), Pace(0)
    for _ in range(1000):
        pace.wait(recorder)
    assert recorder.turns == []


def test_turns_are_an_interval_apart() -> None:
    began = time.monotonic()
    recorder, pace = Recorder(), Pace(10)
    for _ in range(100):
        pace.wait(recorder)
    assert [turn for number, turn in enumerate(recorder.turns) if turn < began + number / 10 - 0.001] == []


def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    recorder, pace = Recorder(), Pace(20)
    pace.wait(recorder)
    time.sleep(0.3)
    resumed, recorder.turns = time.monotonic(), []
    for _ in range(5):
        pace.wait(recorder)
    assert [turn for number, turn in enumerate(recorder.turns) if turn < resumed + number / 20 - 0.001] == []


def test_all_sessions_together_keep_the_rate() -> None:
    pace, stop, began = Pace(50), threading.Event(), time.monotonic()
    for session in [wait_often(pace, stop, 5) for _ in range(4)]:
        session.join(PATIENCE)
    assert time.monotonic() - began >= 19 / 50 - 0.01, "twenty letters, the first at once"


def test_once_stopped_nobody_waits() -> None:
    pace, stop = Pace(1), threading.Event()
    stop.set()
    session = wait_often(pace, stop, 1000)
    session.join(PATIENCE)
    assert not session.is_alive(), "a thousand turns would take a quarter of an hour"


def test_a_stop_ends_a_wait_that_has_begun() -> None:
    pace, stop, recorder = Pace(1), threading.Event(), Recorder()
    for _ in range(3600):
        pace.wait(recorder)
    session = wait_often(pace, stop, 1)
    stop.set()
    session.join(PATIENCE)
    assert not session.is_alive(), "its turn is in an hour"
