"""A private PostgreSQL with honest settings: it waits for the disk at each commit, as one in use does."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .ground import NOBODY, binary, folder_for_nobody, free_port, is_root
from .processes import Failed, measure, running

HONEST = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB")
PATIENCE = 60
USER = "postgres"


def program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return binary(name, *folders, package="postgresql")


class Server:
    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Each statement by itself: databases can't be made inside a transaction."""
        words = [word for statement in statements for word in ("-c", statement)]
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        measure([program("psql"), "-q", "-X", "-v", "ON_ERROR_STOP=1", *address, *words])

    @contextmanager
    def copy_of(self, database: str) -> Iterator[str]:
        """The address of a copy that is gone afterwards. After the checkpoint no run pays for what came before it."""
        self.execute(f"CREATE DATABASE run TEMPLATE {database}", "CHECKPOINT")
        try:
            yield self.url("run")
        finally:
            self.execute("DROP DATABASE run WITH (FORCE)")


@contextmanager
def private_server() -> Iterator[Server]:
    """A running server in a temporary folder. PostgreSQL refuses to run as root, so it runs as nobody then."""
    user: dict[str, Any] = {"user": NOBODY, "group": "nogroup", "extra_groups": []} if is_root() else {}
    with folder_for_nobody() as folder:
        initdb = [program("initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C"]
        if subprocess.run(initdb, check=False, capture_output=True, cwd="/", **user).returncode:
            raise Failed("initdb could not make a database")
        port = free_port()
        options = [word for setting in HONEST for word in ("-c", setting)]
        place = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        command = [program("postgres"), *place, *options]
        with running(command, cwd="/", stdout=subprocess.DEVNULL, **user) as process:
            try:
                wait_for(port, process)
                yield Server(port)
            finally:
                process.send_signal(signal.SIGINT)  # do not wait for clients that are still connected


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    asked = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(asked, cwd=os.sep, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed("PostgreSQL did not start")
        time.sleep(0.05)
