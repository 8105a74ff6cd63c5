"""Child processes: started, measured, and ended by us alone."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

ROOT = Path(__file__).parent.parent
LONGEST = 3600  # seconds any one command may take: a run that hangs is a failed run


class Failed(Exception):
    """A run that can't be counted. It ends the whole benchmark, so that no bad run is quietly left out."""


@dataclass(frozen=True)
class Usage:
    """What a command took. `begun` and `ended` are CLOCK_MONOTONIC, which is the same in every process.

    `peak_mb` is wait4's maximum, which Linux never puts below the size of the process that started the child. This
    program stays far smaller than what it measures (it imports the standard library only); at worst it says too much.
    """

    begun: float
    ended: float
    cpu: float
    peak_mb: float
    output: str

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


def log(line: str) -> None:
    """Progress goes to stderr: stdout is for the table."""
    print(line, file=sys.stderr, flush=True)


def measure(
    command: Sequence[str], folder: Path = ROOT, environment: Mapping[str, str] | None = None, code: int = 0
) -> Usage:
    """Run a command to its end. Raises Failed with the last line of what it said, unless it ends with `code`."""
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        resources = wait(process)
        ended = time.monotonic()
        if process.returncode != code:
            raise Failed(f"{name(command)} ended with {process.returncode}: {last_line(errors) or last_line(output)}")
        output.seek(0)
        cpu, peak = resources.ru_utime + resources.ru_stime, resources.ru_maxrss * 1024 / 1e6
        return Usage(begun, ended, cpu, peak, output.read())


def wait(process: subprocess.Popen[bytes]) -> Any:
    """What the process used. It dies with us, and after the longest time that a command may take."""
    alarm = threading.Timer(LONGEST, process.kill)
    alarm.daemon = True
    alarm.start()
    try:
        _, status, resources = os.wait4(process.pid, 0)
    except BaseException:
        end(process)
        raise
    finally:
        alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return resources


def last_line(output: IO[str]) -> str:
    output.seek(0)
    return (output.read().strip().splitlines() or [""])[-1]


def name(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:4]])


def end(process: subprocess.Popen[Any]) -> None:
    """End one child, politely first."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(command: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A server for as long as the block lasts."""
    process = subprocess.Popen(command, text=True, **{"cwd": ROOT, "stderr": subprocess.DEVNULL, **streams})
    try:
        yield process
    finally:
        end(process)
