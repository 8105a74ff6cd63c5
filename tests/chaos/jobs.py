"""Experiments side by side: each job is a process with a workshop of its own, and does its share one by one."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

from .plan import Kind
from .run import Result, experiment
from .workshop import Workshop

EXPERIMENT_SECONDS = 300

Task = tuple[Kind, int]


@dataclass(frozen=True)
class Terms:
    """What holds for every experiment."""

    doubt: int
    keep: Path | None


def run_all(tasks: Sequence[Task], terms: Terms, jobs: int, seconds: float) -> Iterator[Result]:
    """Results as they come. Raises TimeoutError after so many seconds; then, and when it is interrupted, the jobs
    clear up first. A job that dies leaves its share undone: count the results."""
    context = multiprocessing.get_context("spawn")
    deadline, receivers, processes = time.monotonic() + seconds, [], []
    try:
        for number in range(jobs):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=work, args=(tasks[number::jobs], terms, sender))
            process.start()
            sender.close()
            receivers.append(receiver)
            processes.append(process)
        yield from gather(receivers, deadline)
    finally:
        for process in processes if receivers else ():
            process.terminate()
        for process in processes:
            process.join()


def gather(receivers: list[Connection], deadline: float) -> Iterator[Result]:
    """Until every sender is closed; those are taken out of `receivers`."""
    while receivers:
        ready = wait(receivers, max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        for receiver in [each for each in receivers if each in ready]:
            try:
                yield receiver.recv()
            except EOFError:
                receivers.remove(receiver)


def work(tasks: Sequence[Task], terms: Terms, results: Connection) -> None:
    """A job's process. Told to end, it finishes its experiment, which takes seconds, and clears up."""
    told = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: told.set())
    signal.signal(signal.SIGALRM, give_up)
    with Workshop() as workshop:
        for kind, seed in tasks:
            if told.is_set():
                return
            results.send(perform(workshop, kind, seed, terms))


def perform(workshop: Workshop, kind: Kind, seed: int, terms: Terms) -> Result:
    """One experiment; trouble of the harness itself is a counterexample too."""
    signal.alarm(EXPERIMENT_SECONDS)
    try:
        return experiment(workshop, kind, seed, doubt=terms.doubt, keep=terms.keep)
    except Exception as error:
        return Result(kind, seed, problems=[f"the harness failed: {type(error).__name__} {error}"])
    finally:
        signal.alarm(0)


def give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"it took more than {EXPERIMENT_SECONDS} s")
