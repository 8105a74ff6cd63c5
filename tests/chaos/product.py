"""The product in a folder: `mailer` as a process that may be killed, and as a command whose answer is wanted."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from mailer.cli import main
from mailer.config import example

BASE_URL = "http://127.0.0.1:8000"
ROOT = Path(__file__).parents[2]
SENDER = "Frontier Technologies <news@lists.example.org>"

# A measurer of coverage that writes beside the sender would meet the full disk in its stead.
MEASURERS = tuple(name for name in os.environ if name.startswith("COVERAGE"))


class CommandFailed(Exception):
    pass


class Product:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def configure(self, **settings: str | int) -> None:
        text = example(BASE_URL=BASE_URL, MAIL_DEFAULT_SENDER=SENDER, **settings)
        (self.folder / "mailer.toml").write_text(text, encoding="utf-8")

    def run(self, *args: str) -> str:
        """`mailer ARGS…` inside this process, which saves the time of starting one. Raises CommandFailed."""
        with contextlib.chdir(self.folder):
            result = CliRunner(env=dict.fromkeys(settings_outside())).invoke(main, args)
        if result.exit_code:
            error = result.exception if not isinstance(result.exception, SystemExit) else None
            raise CommandFailed(f"mailer {' '.join(args)}: {result.exit_code} {result.output} {error or ''}")
        return result.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.run(*args, "--json"))

    def start(self, *args: str) -> subprocess.Popen[str]:
        """`mailer ARGS…` as a process, in a group of its own."""
        return self.spawn("mailer", *args)

    def spawn(self, module: str, *args: str) -> subprocess.Popen[str]:
        """The same with any module that can be run."""
        inherited = {name: value for name, value in os.environ.items() if name not in (*settings_outside(), *MEASURERS)}
        return subprocess.Popen(
            [sys.executable, "-m", module, *args],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def settings_outside() -> list[str]:
    """The developer's own MAILER_… variables are not the experiments' business."""
    return [name for name in os.environ if name.startswith("MAILER_")]


def kill(process: subprocess.Popen[str]) -> None:
    """The whole group at once, as when the machine's memory runs out: nobody gets to clean up."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
