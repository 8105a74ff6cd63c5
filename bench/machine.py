"""What the figures were measured on. Nothing that names the machine."""

import os
import platform
import re
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .installation import Installation
from .postgres import program


def describe(*, with_postgres: bool) -> str:
    """A sentence for above the table. The load counts, too: on a busy machine figures say little."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    facts = [
        f"{os.cpu_count()} × {processor()}",
        f"{memory:.0f} GiB",
        platform.freedesktop_os_release()["PRETTY_NAME"],
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version} on {file_system()}",
        f"Postfix {said(['/usr/sbin/postconf', '-d', '-h', 'mail_version'])}",
        Installation(Path(tempfile.gettempdir()), 0).mailer("--version").output.strip(),
    ]
    if with_postgres:
        facts.insert(5, f"PostgreSQL {version(said([program('postgres'), '--version']))}")
    day, load = datetime.now(UTC), os.getloadavg()[0]
    return f"{day:%Y-%m-%d}: {', '.join(facts)}; load before the first run {load:.1f}; everything on loopback."


def processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def file_system() -> str:
    """The kind that holds the temporary folder, so the databases: SQLite waits for it at each commit."""
    return said(["df", "--output=fstype", tempfile.gettempdir()]).split()[-1]


def version(line: str) -> str:
    found = re.search(r"\d[\d.]*", line)
    return found[0] if found else line


def said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    except OSError:
        return "of unknown version"
    return done.stdout.strip() or "of unknown version"
