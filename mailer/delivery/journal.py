"""A sender's journal: one line just before a letter's body goes out, one when its outcome is known.

It outlives a killed process, so that of the letters it had claimed only those are in doubt that were on the wire.

    <crc32> mailer-journal-1 <run> <boot>
    <crc32> begun <row>
    <crc32> returned <row>
    <crc32> <state> <row> <unix time> <reply>

It is trusted as a whole or not at all. Lines are not forced to the disk, so what their absence says is trusted only
until the machine is started anew.
"""

import errno
import fcntl
import os
import secrets
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from mailer.delivery.outcomes import Outcome
from mailer.errors import MailerError
from mailer.states import DeliveryState

MAGIC = "mailer-journal-1"
BEGUN = "begun"
RETURNED = "returned"
PAGE = 4096  # octets


class JournalError(MailerError):
    """The journal can't be written, so nothing may be sent; or it can't be trusted."""


@dataclass(frozen=True)
class Entry:
    """The last that a journal says of a row: its body was about to go out, or its outcome and when it was known."""

    outcome: Outcome | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Account:
    """What a dead run's journal says. `complete`: a row that has no entry was never begun."""

    entries: Mapping[int, Entry]
    complete: bool


def begun(row: int) -> bytes:
    return line(f"{BEGUN} {row}")


def returned(row: int) -> bytes:
    """It was begun, and yet nothing came of it."""
    return line(f"{RETURNED} {row}")


def settled(row: int, outcome: Outcome) -> bytes:
    return line(f"{outcome.state} {row} {time.time():.3f} {outcome.reply}")


def line(words: str) -> bytes:
    """`words` are of one line: a reply is, by `outcomes.Reply`."""
    octets = words.encode()
    return b"%08x %s\n" % (zlib.crc32(octets), octets)


def journal_path(folder: Path, run: str) -> Path:
    return folder / f"{run}.journal"


def identity(folder: Path) -> str:
    """Names the folder, for ever: whoever can read this name there can read its journals. Raises JournalError."""
    path = folder / "identity"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            with NamedTemporaryFile("w", dir=folder) as fresh:
                fresh.write(secrets.token_hex(16))
                fresh.flush()
                with suppress(FileExistsError):  # another process was quicker
                    os.link(fresh.name, path)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise no_journal(folder, error) from error


def no_journal(folder: Path, error: OSError) -> JournalError:
    return JournalError(f"no journal can be made in {folder} ({error.strerror}): see JOURNAL_FOLDER")


def boot() -> str:
    """Names the time since this machine was started; `-` where the system doesn't tell (only Linux does)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "-"


class Journal:
    """The journal of a run that is at work. Its file is locked until the process ends, however it ends."""

    def __init__(self, folder: Path, run: str) -> None:
        """Raises JournalError if it can't be made."""
        self.path, self.size = journal_path(folder, run), 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise no_journal(folder, error) from error
        try:
            with suppress(OSError):  # a file system without locks: the ledger's own lock has to do
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.write(line(f"{MAGIC} {run} {boot()}"))
        except JournalError:
            self.remove()
            raise

    def write(self, *lines: bytes) -> None:
        """Append, all or nothing. Raises JournalError if the disk is full: then no body may go out."""
        start = self.size
        try:
            self.append_all(lines)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self.file, start)
            self.size = start
            raise JournalError(
                f"the journal {self.path} can't be written ({error.strerror}): nothing more is sent; make room, "
                "then run it again"
            ) from error

    def append_all(self, lines: Sequence[bytes]) -> None:
        together = b"".join(lines)
        if self.size % PAGE + len(together) <= PAGE:
            self.append(together)
            return
        # A kill can cut a write short where it crosses from one page to the next. So none does.
        for each in lines:
            if self.size % PAGE + len(each) > PAGE:
                self.append(b"\n" * (PAGE - self.size % PAGE))
            self.append(each)

    def append(self, octets: bytes) -> None:
        if os.write(self.file, octets) < len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(octets)

    def close(self) -> None:
        """Leave the file for the next start to read."""
        os.close(self.file)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()


def is_held(path: Path) -> bool:
    """Whether the sender that writes this journal is alive. Raises PermissionError if it is not ours to see."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def read(path: Path, run: str, rows: Collection[int], at_least: int = 0) -> Account:
    """What the journal of `run` says of `rows`. `at_least`: octets that it is known to have held.

    Raises JournalError for one that is missing, damaged, cut off or another's.
    """
    try:
        with path.open("rb") as file:
            words = (check_line(each, path) for each in file if each != b"\n")
            complete = check_head(next(words, ""), run, path)
            last = dict(entry for entry in map(parse, words) if entry[0] in rows)
            entries = {row: entry for row, entry in last.items() if entry}
            if file.tell() < at_least:
                raise JournalError(f"{path} was cut off: it held at least {at_least} octets, {file.tell()} are left")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise JournalError(f"{path} can't be read ({getattr(error, 'strerror', None) or error})") from error
    return Account(entries, complete)


def check_line(given: bytes, path: Path) -> str:
    """The words of a line. Raises JournalError unless it is whole."""
    mark, _, octets = given.removesuffix(b"\n").partition(b" ")
    if not given.endswith(b"\n") or mark != b"%08x" % zlib.crc32(octets):
        raise JournalError(f"{path} is damaged, or was cut off: {given[:40]!r} is not a line of a journal")
    return octets.decode()


def check_head(words: str, run: str, path: Path) -> bool:
    """Whether the machine still runs as it did then. Raises JournalError for a journal that isn't this run's."""
    magic, owner, started, *_ = [*words.split(" "), "", ""]
    if magic != MAGIC:
        raise JournalError(f"{path} is empty, or no journal")
    if owner != run:
        raise JournalError(f"{path} is the journal of another run or another database")
    return started == boot() != "-"


def parse(words: str) -> tuple[int, Entry | None]:
    kind, row, *rest = words.split(" ", 3)
    if kind == RETURNED:
        return int(row), None
    if kind == BEGUN:
        return int(row), Entry()
    at, reply = rest
    return int(row), Entry(Outcome(DeliveryState(kind), reply), datetime.fromtimestamp(float(at), UTC))
