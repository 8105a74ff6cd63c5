"""Bounds on time that a busy machine does not break."""

import time
from collections.abc import Callable

TRIES = 3


def takes_at_most(seconds: float, act: Callable[[], object]) -> bool:
    """Whether `act` is so little work for this process, in the best of some tries: what else the machine does makes it
    more, never less."""
    for _ in range(TRIES):
        begun = time.process_time()
        act()
        if time.process_time() - begun <= seconds:
            return True
    return False
