"""Where a run and its courier hand letters over, the only thing that their threads share: claimed letters in, outcomes
and letters that were not begun out."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from mailer.delivery.claims import Letter, Settlement
from mailer.delivery.pace import Pace

STALE_SECONDS = 5.0  # a claimed letter not begun by then is claimed anew, so that who left meanwhile gets none


class Waiting(NamedTuple):
    """A claimed letter, when its turn comes, and until when it may be begun. By the monotonic clock."""

    begins_at: float
    fresh_until: float
    letter: Letter


class Desk:
    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.letters: deque[Waiting] = deque()
        self.settled: deque[Settlement] = deque()
        self.untouched: deque[int] = deque()
        self.low = 0  # the run is woken when no more letters than that are left
        self.news = threading.Event()
        self.closed = False
        self.trouble: Exception | None = None
        self.wake: Callable[[], None] = lambda: None  # the courier, when it may be asleep

    # For the run.

    def fill(self, letters: Sequence[Letter], turns: Iterable[float] = repeat(0.0)) -> None:
        """`turns`: in how many seconds each one's turn comes; at once if none are given."""
        now = time.monotonic()
        fresh_until = now + STALE_SECONDS
        self.letters.extend(Waiting(now + turn, fresh_until, each) for each, turn in zip(letters, turns, strict=False))
        self.wake()

    def collect(self) -> tuple[list[Settlement], list[int]]:
        """What has been handed in since."""
        return take_all(self.settled), take_all(self.untouched)

    def close(self, trouble: Exception | None = None) -> None:
        """No letter is begun from now on. The first trouble is the one that is told."""
        self.trouble = self.trouble or trouble
        self.closed = True
        self.news.set()
        self.wake()

    # For the courier.

    def take(self) -> Letter | None:
        """The next letter, if there is one and its turn has come."""
        while not self.closed and (found := self.fetch()):
            now = time.monotonic()
            if now > found.fresh_until:
                self.give_back(found.letter)
            elif now < found.begins_at or (self.pace.rate and not self.pace.take()):
                self.letters.appendleft(found)
                return None
            else:
                return found.letter
        return None

    def wait(self) -> float:
        """How many seconds the next turn is away."""
        try:
            turn = self.letters[0].begins_at
        except IndexError:
            turn = 0.0
        return max(self.pace.wait(), turn - time.monotonic(), 0.0)

    def fetch(self) -> Waiting | None:
        """Whoever fetches a letter has it alone: courier and run may be here at the same time."""
        try:
            return self.letters.popleft()
        except IndexError:
            return None

    def give_back(self, letter: Letter) -> None:
        """It was not begun: no attempt is counted."""
        self.untouched.append(letter.id)
        self.news.set()

    def clear(self) -> None:
        """Give back all that lies here."""
        while found := self.fetch():
            self.give_back(found.letter)

    def hand_in(self, settlements: list[Settlement]) -> None:
        self.settled.extend(settlements)
        if settlements and len(self.letters) <= self.low:
            self.news.set()


def take_all(items: deque[Any]) -> list[Any]:
    return [items.popleft() for _ in range(len(items))]
