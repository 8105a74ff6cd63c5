"""What runs in a job's process: its own workshop, and one experiment after the other."""

import signal
import sys
from multiprocessing.util import Finalize
from pathlib import Path
from types import FrameType

from .plan import Kind
from .run import Result, experiment
from .workshop import Workshop

EXPERIMENT_SECONDS = 300

workshop: Workshop  # of each process that runs experiments


def open_workshop() -> None:
    """In a job's process: prepare what its experiments share, and clear it away when the process ends."""
    global workshop
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, stop)
    workshop = Workshop()
    workshop.__enter__()
    Finalize(None, workshop.__exit__, exitpriority=10)


def give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"it took more than {EXPERIMENT_SECONDS} s")


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the ordinary way out, which clears up."""
    sys.exit(1)


def perform(kind: Kind, seed: int, doubt: int, keep: Path | None) -> Result:
    """One experiment in a job's process; trouble of the harness itself is a counterexample too."""
    signal.alarm(EXPERIMENT_SECONDS)
    try:
        return experiment(workshop, kind, seed, doubt=doubt, keep=keep)
    except Exception as error:
        return Result(kind, seed, problems=[f"the harness failed: {type(error).__name__} {error}"])
    finally:
        signal.alarm(0)
