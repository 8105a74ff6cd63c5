"""A digest sent by Celery's workers, over a Redis of its own: one worker, or several side by side on this machine."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .ground import binary, free_port
from .installation import Installation, environment
from .peers import Run
from .processes import Failed, running

PATIENCE = 60


@contextmanager
def redis() -> Iterator[str]:
    """The address of a fresh one."""
    server, client = (binary(name, package="redis-server") for name in ("redis-server", "redis-cli"))
    port = free_port()
    with TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        with running(command, stdout=subprocess.DEVNULL):
            wait_until(lambda: subprocess.run([client, "-p", str(port), "ping"], capture_output=True).returncode == 0)
            yield f"redis://127.0.0.1:{port}/0"


def send(copy: Installation, port: int, workers: int, broker: str) -> Run:
    """From handing the digest out to workers that are ready until the last of its letters is settled."""
    settings = {"ENGINE": "celery", "BROKER_URL": broker, "SEND_WORKERS": workers, "MAIL_PORT": port}
    celery = [sys.executable, "-m", "celery", "-A", "mailer.tasks"]
    given = environment({**settings, "DATABASE_URL": copy.url})
    with ExitStack() as stack:
        log = stack.enter_context((copy.folder / "worker.log").open("w"))
        each = ["--concurrency", "1", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        for number in range(workers):
            command = [*celery, "worker", "-n", f"worker{number}@localhost", *each]
            stack.enter_context(running(command, cwd=copy.folder, env=given, stdout=log, stderr=log))
        wait_until(lambda: Path(log.name).read_text(encoding="utf-8").count("the worker is ready") == workers)
        usage = copy.mailer("digest", "send", copy.digest, "--yes", **settings)
    status = json.loads(copy.mailer("digest", "status", copy.digest, "--json").output)
    if (status["state"], status["accepted"]) != ("sent", copy.count):
        raise Failed(f"of {copy.count:,} copies {status['accepted']:,} are accounted as accepted: {status}")
    return Run(copy.count, usage.seconds, usage)


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise Failed("Redis, or Celery's workers, did not start")
        time.sleep(0.1)
