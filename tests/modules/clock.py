"""Time that stands still until a test lets it pass, for the one module under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@contextmanager
def clock_of(module: ModuleType) -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        yield clock
