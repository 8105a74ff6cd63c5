"""The scripted mail server as a process that can be killed and started again."""

import subprocess
import sys
import time
from pathlib import Path

from .record import Event, Record, events_file, read

ROOT = Path(__file__).parents[2]
QUIET_SECONDS = 5.0


class MailServer:
    """Use as a context manager. The next one that is started does as `faults` says then."""

    def __init__(
        self, folder: Path, *, seed: int, faults: str, pause: float = 0.0, window: int = 0, pipelining: bool = True
    ) -> None:
        self.folder, self.seed, self.faults, self.port = folder, seed, faults, 0
        self.options = ["--pause", str(pause), "--window", str(window), *([] if pipelining else ["--no-pipelining"])]
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "MailServer":
        self.folder.mkdir()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        if self.process:
            return
        command = [sys.executable, "-m", "tests.chaos.server", str(self.folder), *self.options]
        command += ["--seed", str(self.seed), "--faults", self.faults, "--port", str(self.port)]
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
        assert self.process.stdout
        told = self.process.stdout.readline()
        if not told:
            raise RuntimeError((self.folder / "errors").read_text(encoding="utf-8"))
        self.port = int(told)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def written(self) -> int:
        """The size of the record: it grows with each step of each letter."""
        path = events_file(self.folder)
        return path.stat().st_size if path.exists() else 0

    def record(self, size: int | None = None) -> Record:
        return Record.of(self.folder, size)

    def connections(self) -> int:
        return sum(event["event"] == Event.OPEN for event in read(events_file(self.folder)))

    def wait_until_quiet(self) -> None:
        """A letter that a killed sender wrote to its end may still be stored: wait for every connection to close."""
        deadline = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < deadline and self.process:
            if all(each.last is Event.CLOSE for each in self.record().conversations.values()):
                return
            time.sleep(0.02)
