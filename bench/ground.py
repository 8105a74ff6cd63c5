"""The ground that servers stand on: binaries of the system, free ports, folders for users without rights."""

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import Failed

NOBODY = "nobody"


def binary(name: str, *folders: Path, package: str) -> str:
    """Where a program is: Debian keeps servers off the PATH. Raises Failed with the package that brings it."""
    places = [*map(str, folders), os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if not found:
        raise Failed(f"needs {name}, of the package {package}; only the program, it need not be set up or started")
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def is_root() -> bool:
    return os.geteuid() == 0


@contextmanager
def folder_for_nobody() -> Iterator[Path]:
    """A temporary folder of its own: a server that gives up root's rights sees nothing inside a private one."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-bench-"))
    try:
        if is_root():
            nobody = pwd.getpwnam(NOBODY)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
