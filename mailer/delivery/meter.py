"""What a run has brought about so far, and how fast."""

import time
from collections import Counter, deque
from collections.abc import Iterable
from itertools import groupby

from mailer.states import DeliveryState

WINDOW = 10.0  # seconds that the rate looks back


class Meter:
    def __init__(self) -> None:
        self.counts: Counter[DeliveryState] = Counter()
        self.retried = 0  # letters among them that had been put off before
        self.marks = deque([(time.monotonic(), 0, 0)])  # (when, letters accepted by then, letters tried)

    def count(self, outcomes: Iterable[tuple[DeliveryState, int]]) -> None:
        """Note letters by what became of them and how often each had been tried before."""
        noted = list(outcomes)
        for state, same in groupby(state for state, _ in noted):  # nearly always one long row of the same
            self.counts[state] += len(list(same))
        self.retried += sum(attempts > 0 for _, attempts in noted)
        now = time.monotonic()
        self.marks.append((now, self.counts[DeliveryState.ACCEPTED], self.counts.total()))
        while self.marks[1][0] < now - WINDOW:
            self.marks.popleft()

    def rate(self) -> float:
        """Letters accepted a second, over the last ten seconds."""
        begun, before, _ = self.marks[0]
        elapsed = time.monotonic() - begun
        return (self.counts[DeliveryState.ACCEPTED] - before) / elapsed if elapsed else 0.0

    def tried(self) -> float:
        """Letters a second, whatever became of them."""
        begun, _, before = self.marks[0]
        elapsed = time.monotonic() - begun
        return (self.counts.total() - before) / elapsed if elapsed else 0.0
