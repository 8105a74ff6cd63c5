"""A PostgreSQL of the tests' own: the system's binaries, a temporary folder, an unprivileged user."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from .ports import free_port

ADVICE = "needs PostgreSQL's server: apt-get install postgresql"
# A crash may lose this server's data, so that it never waits for the disk.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "shared_buffers=64MB")


def find_binaries() -> Path | None:
    """The folder of `initdb`: Debian keeps it off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    candidates = [*reversed(folders), *([Path(on_path).parent] if on_path else [])]
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


@contextmanager
def postgres(binaries: Path, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[str]:
    """The address of a running server's `postgres` database. `inside`: a command that runs it, such as in another
    network."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-postgres-"))
    as_user: dict[str, str] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = {"user": "nobody", "group": "nogroup"}
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data, port = folder / "data", free_port()
    initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_user)
    options = [word for setting in FAST for word in ("-c", setting)]
    if host != "127.0.0.1":
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
    if inside:  # which only root may
        inside, as_user = [*inside, "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"], {}
    command = [*inside, binaries / "postgres", "-D", data, "-h", host, "-p", str(port), "-k", folder, *options]
    log = (folder / "log").open("wb")
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **as_user)
    try:
        url = f"postgresql://postgres@{host}:{port}/postgres"
        wait_for(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        log.close()
        shutil.rmtree(folder)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def rows(url: str) -> Iterator[str]:
    """Every row of every table as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in tables:
            found = connection.execute(f'SELECT t::text FROM "{name}" t')  # type: ignore[arg-type]
            yield from (f"{name}: {row}" for (row,) in found)
