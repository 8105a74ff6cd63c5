"""Celery's workers and its clock, as processes of their own that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Celery:
    """`celery -A mailer.tasks ARGUMENTS…` in an installation's folder."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        """`inside`: a command that runs it, such as in another network."""
        self.log = folder / f"{name}.log"
        command = [*inside, sys.executable, "-m", "celery", "-A", "mailer.tasks", *arguments]
        with self.log.open("ab") as log:
            everything = {**os.environ, **(environ or {})}
            self.process = subprocess.Popen(
                command, cwd=folder, env=everything, stdout=log, stderr=log, process_group=0
            )

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_until_it_says(self, words: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def kill(self) -> None:
        """At once, with all its processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        """What it is at is finished first."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            finally:
                if self.process.poll() is None:
                    self.kill()


@contextmanager
def worker(folder: Path, name: str = "worker", *, processes: int = 2, **options: object) -> Iterator[Celery]:
    """A worker that is ready; `options` of `Celery`."""
    quick = ("--without-gossip", "--without-mingle", "--loglevel", "INFO")
    made = Celery(folder, name, "worker", "-n", f"{name}@localhost", "-c", str(processes), *quick, **options)  # type: ignore[arg-type]
    try:
        made.wait_until_it_says("ready")
        yield made
    finally:
        made.stop()


@contextmanager
def beat(folder: Path, name: str = "beat", **options: object) -> Iterator[Celery]:
    """Celery's clock; several have a file each for what they did last."""
    made = Celery(folder, name, "beat", "--schedule", str(folder / f"{name}.schedule"), **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.stop()
