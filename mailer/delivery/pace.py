"""The rate limit: one clock for all sessions of a run, without bursts."""

import time

CREDIT = 0.05  # seconds of turns that were missed and may be made up for, so that the rate set is the rate that is kept


class Pace:
    """Turns for `rate` messages a second; 0 lets all pass. It may change at any time."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.free_at = time.monotonic()

    def wait(self) -> float:
        """How many seconds the next turn is away."""
        return max(0.0, self.free_at - time.monotonic()) if self.rate else 0.0

    def take(self) -> bool:
        """Take the next turn if it has come; whether it had."""
        rate, now = self.rate, time.monotonic()
        if rate and self.free_at > now:
            return False
        if rate:
            self.free_at = max(self.free_at, now - CREDIT) + 1 / rate
        return True
