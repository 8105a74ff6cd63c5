"""A short form of `python -m tests.chaos`: a few experiments of each kind, and every one that ever failed."""

from collections.abc import Iterator

import pytest

from ..conftest import need
from ..servers import postgres
from .plan import Kind
from .run import experiment
from .workshop import Workshop

# Small ones, chosen to differ: long letters, one to eight sessions, with and without PIPELINING, `hold` and `resend`.
SEEDS = {
    Kind.KILL: (0, 1, 3, 6, 7, 11),
    Kind.KILL_POSTGRESQL: (1, 4),
    Kind.SEATS: (1, 3),
    Kind.DATABASE: (3, 15),
    Kind.DISK: (1, 2),
    Kind.SERVER: (0, 7, 10),
}
# Counterexamples of earlier days, with a word on what was wrong.
REGRESSIONS = [
    (Kind.KILL, 12),  # a letter that the socket took in two halves was waited for without an end
    (Kind.DATABASE, 1),  # after trouble, fewer letters than none were claimed
]


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with Workshop(tmpfs=False) as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "seed"), [*((kind, seed) for kind, seeds in SEEDS.items() for seed in seeds), *REGRESSIONS]
)
def test_nobody_is_missed_and_nobody_gets_two(workshop: Workshop, kind: Kind, seed: int) -> None:
    if kind.database == "postgresql":
        need("postgres", postgres.find_binaries(), postgres.ADVICE)
    result = experiment(workshop, kind, seed)
    assert result.problems == [], f"python -m tests.chaos --only {kind} --seed {seed}   ({result.plan})"
    assert result.messages
