"""A PostgreSQL of the experiments' own that may be stopped in mid-transaction and started again.

Unlike the server of the other tests it loses nothing that it committed: only its processes are killed, never the
system beneath them, so it need not wait for the disk.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg

from ..servers import postgres
from ..servers.ports import free_port

SAFE = ("fsync=off", "synchronous_commit=on", "full_page_writes=on", "max_connections=40", "shared_buffers=32MB")
START_SECONDS = 30


class Cluster:
    """Use as a context manager. `url` names its `postgres` database."""

    def __init__(self, binaries: Path) -> None:
        self.binaries, self.port = binaries, free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.user: str | None = None
        self.group: str | None = None
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Cluster":
        self.folder = Path(tempfile.mkdtemp(prefix="mailer-chaos-postgres-"))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self.user, self.group = "nobody", "nogroup"
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        initdb = [str(self.binaries / "initdb"), "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres"]
        options = ["-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([*initdb, *options], check=True, capture_output=True, cwd="/", user=self.user, group=self.group)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)  # a process of the server's may be the last to leave

    def start(self) -> None:
        """Unless it runs, start it and wait until it answers. One that died a moment ago may still hold its memory:
        then try again."""
        if self.server:
            return
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.server = self.process()
            with contextlib.suppress(psycopg.OperationalError):
                postgres.wait_for(self.url, self.server)
                return
            self.stop()
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not start again")
            time.sleep(0.2)

    def process(self) -> subprocess.Popen[bytes]:
        options = [word for setting in SAFE for word in ("-c", setting)]
        folder, listening = str(self.folder), ["-h", "127.0.0.1", "-p", str(self.port)]
        command = [str(self.binaries / "postgres"), "-D", f"{folder}/data", "-k", folder, *listening, *options]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", user=self.user, group=self.group, start_new_session=True
            )

    def stop(self) -> None:
        """At once, as `pg_ctl stop -m immediate` does: every transaction under way is lost, the next start recovers."""
        if self.server:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait(START_SECONDS)
        self.server = None

    def create(self, name: str, template: str = "template1") -> str:
        """A new database's address, as the product's settings name it."""
        postgres.execute(self.url, f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def drop(self, name: str) -> None:
        postgres.execute(self.url, f"DROP DATABASE {name} WITH (FORCE)")
