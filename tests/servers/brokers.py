"""RabbitMQ and Redis of the tests' own: the system's binaries, a temporary folder, ports that are free."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .ports import free_port

ADVICE = {
    "rabbitmq": "needs RabbitMQ's server: apt-get install rabbitmq-server",
    "redis": "needs Redis' server: apt-get install redis-server",
}


def find(broker: str) -> str | None:
    if broker == "redis":
        return shutil.which("redis-server")
    # Debian's command on the PATH is a wrapper that insists on the system's own user.
    return next((str(path) for path in Path("/usr/lib/rabbitmq").glob("lib/*/sbin/rabbitmq-server")), None)


class Broker:
    """A server that can be stopped, killed and started again with what it has written to the disk."""

    def __init__(self, command: list[str], environ: Mapping[str, str], url: str, port: int) -> None:
        self.command, self.environ, self.url, self.port = command, environ, url, port
        self.process: subprocess.Popen[bytes] | None = None
        self.helper: list[str] = []

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(self.command, env={**os.environ, **self.environ}, process_group=0, **quiet)
        deadline = time.monotonic() + 90
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} does not start")
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            with socket.create_connection((urlsplit(self.url).hostname, self.port), 1) as connection:
                if self.url.startswith("redis"):
                    return True
                # RabbitMQ listens before it is ready: an AMQP header in, the server's first frame out.
                connection.settimeout(2)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait(60)
            self.process = None


def rabbitmq(folder: Path) -> Broker:
    port, clustering, names = free_port(), free_port(), free_port()
    config = folder / "rabbitmq.conf"
    config.write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\n", encoding="ascii")
    (folder / "plugins").write_text("[].", encoding="ascii")
    environ = {
        "HOME": str(folder),  # of Erlang's cookie
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"mailer{port}@localhost",
        "RABBITMQ_DIST_PORT": str(clustering),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
    }
    server = Broker([find("rabbitmq") or ""], environ, f"amqp://guest:guest@127.0.0.1:{port}//", port)
    # Erlang's name server: not started by us, it would outlive RabbitMQ.
    server.helper = [shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(names)]
    return server


def redis(folder: Path, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Broker:
    port = free_port()
    command = [*inside, find("redis") or "", "--port", str(port), "--bind", host, "--dir", str(folder)]
    return Broker([*command, "--protected-mode", "no", "--appendonly", "yes"], {}, f"redis://{host}:{port}/0", port)


@contextmanager
def broker(kind: str, **where: Any) -> Iterator[Broker]:
    """A running server; `kind`: rabbitmq or redis; `where`: the host of Redis, and a command that runs it there."""
    folder = Path(tempfile.mkdtemp(prefix=f"mailer-{kind}-"))
    server = {"rabbitmq": rabbitmq, "redis": redis}[kind](folder, **where)
    with subprocess.Popen(server.helper or ["true"]) as helper:
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGKILL)
            helper.kill()
            shutil.rmtree(folder, ignore_errors=True)
