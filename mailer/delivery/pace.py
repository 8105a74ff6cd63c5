"""The rate limit: one clock for all sessions of a run, without bursts."""

import threading
import time


class Pace:
    """`rate` messages a second over everybody who calls `wait`; 0 lets all pass."""

    def __init__(self, rate: int) -> None:
        self.interval = 1 / rate if rate else 0.0
        self.lock = threading.Lock()
        self.free_at = time.monotonic()

    def wait(self, stop: threading.Event) -> None:
        """Return when it is this caller's turn, or at once when `stop` is set."""
        if not self.interval:
            return
        with self.lock:
            turn = max(self.free_at, time.monotonic())
            self.free_at = turn + self.interval
        stop.wait(turn - time.monotonic())
