"""A sender's journal: what it says is what was written, and what can't be trusted is not."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.delivery.journal import (
    PAGE,
    Entry,
    Journal,
    JournalError,
    begun,
    boot,
    is_held,
    journal_path,
    read,
    settled,
)
from mailer.delivery.outcomes import Outcome, Reply
from mailer.states import DeliveryState

RUN = "5f0c"
AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
ACCEPTED = Outcome(DeliveryState.ACCEPTED, "250 2.0.0 queued as 4Xyz")
EVERY_ROW = range(1, 10**9)

STATES = st.sampled_from(["accepted", "deferred", "bounced", "blocked", "unknown"]).map(DeliveryState)
REPLIES = st.builds(Reply, st.integers(200, 599), st.text(st.characters(), max_size=200)).map(str)
OUTCOMES = st.builds(Outcome, STATES, REPLIES)
WORDS = st.lists(st.tuples(st.integers(1, 50), st.none() | OUTCOMES), max_size=60)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def written(place: Path, *lines: bytes, run: str = RUN, at_once: int = 1) -> Path:
    """The journal of a sender that wrote these lines, so many at once, and died."""
    log = Journal(place, run)
    for first in range(0, len(lines), at_once):
        log.write(*lines[first : first + at_once])
    log.close()
    assert log.size == log.path.stat().st_size
    return log.path


def line(words: str) -> bytes:
    """By the format that the module's docstring shows."""
    return f"{zlib.crc32(words.encode()):08x} {words}\n".encode()


HEAD = line(f"mailer-journal-1 {RUN} {boot()}")


def is_refused(path: Path, run: str = RUN, at_least: int = 0) -> bool:
    try:
        read(path, run, EVERY_ROW, at_least)
    except JournalError as error:
        return str(error).isprintable()  # one line, whatever stands in the file
    return False


# What was written is read.


@given(WORDS, st.integers(1, 60))
def test_the_last_word_about_each_row_is_read(words: list[tuple[int, Outcome | None]], at_once: int) -> None:
    with folder() as place, time_machine.travel(AT, tick=False):
        lines = [settled(row, word) if word else begun(row) for row, word in words]
        path = written(place, *lines, at_once=at_once)
        account = read(path, RUN, EVERY_ROW, path.stat().st_size)
    assert account.complete
    assert account.entries == {row: Entry(word, AT) if word else Entry() for row, word in words}


def test_the_format_is_as_documented(tmp_path: Path) -> None:
    with time_machine.travel(AT, tick=False):
        path = written(tmp_path, begun(7), settled(7, ACCEPTED))
    assert path == journal_path(tmp_path, RUN)
    assert path.read_bytes() == (
        line(f"mailer-journal-1 {RUN} {boot()}")
        + line("begun 7")
        + line("accepted 7 1772368215.250 250 2.0.0 queued as 4Xyz")
    )


def test_only_the_rows_asked_for_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, begun(1), begun(2), begun(3))
    assert read(path, RUN, {2, 4}).entries == {2: Entry()}


def test_a_journal_without_a_letter_says_that_none_was_begun(tmp_path: Path) -> None:
    account = read(written(tmp_path), RUN, EVERY_ROW)
    assert (account.entries, account.complete) == ({}, True)


def test_nothing_to_write_is_no_write(tmp_path: Path) -> None:
    log = Journal(tmp_path, RUN)
    before = log.path.read_bytes()
    log.write()
    log.close()
    assert log.path.read_bytes() == before


# Lines and pages.


def crossing(path: Path) -> list[bytes]:
    """The lines that stand on two pages."""
    at, found = 0, list[bytes]()
    for each in path.read_bytes().splitlines(keepends=True):
        if at // PAGE != (at + len(each) - 1) // PAGE:
            found.append(each)
        at += len(each)
    return found


@given(st.lists(st.integers(0, 500), max_size=80), st.integers(1, 80))
@example([500] * 80, 80)
@example([5], 1)
def test_no_line_crosses_from_one_page_to_the_next(lengths: list[int], at_once: int) -> None:
    """A kill may cut a write short there."""
    with folder() as place:
        lines = [settled(1, Outcome(DeliveryState.BOUNCED, "x" * length)) for length in lengths]
        path = written(place, *lines, at_once=at_once)
        assert crossing(path) == []
        assert read(path, RUN, EVERY_ROW, path.stat().st_size).complete


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_a_page_may_be_filled_to_its_last_octet(tmp_path: Path, spare: int) -> None:
    frame = len(settled(1, Outcome(DeliveryState.BOUNCED, "")))
    room = PAGE - len(HEAD) - frame - spare
    path = written(tmp_path, settled(1, Outcome(DeliveryState.BOUNCED, "x" * room)), begun(2))
    assert path.stat().st_size == PAGE + len(begun(2))
    assert crossing(path) == []


def test_the_longest_replies_in_any_script_cross_no_page(tmp_path: Path) -> None:
    longest = Outcome(DeliveryState.DEFERRED, str(Reply(450, "4.7.1 " + "😀" * 1000)))
    rows = range(10**12, 10**12 + 9)
    path = written(tmp_path, *(settled(row, longest) for row in rows), at_once=9)
    assert {row: entry.outcome for row, entry in read(path, RUN, rows).entries.items()} == dict.fromkeys(rows, longest)
    assert crossing(path) == []


# What can't be trusted.


def lines_of_a_run(place: Path) -> Path:
    """Of a few letters, over more than a page."""
    lines = [
        begun(row) + settled(row, Outcome(DeliveryState.DEFERRED, "451 4.3.0 " + "é" * 130)) for row in range(1, 16)
    ]
    path = written(place, *lines)
    assert path.stat().st_size > PAGE
    assert b"\n\n" in path.read_bytes(), "a page was filled up"
    return path


def test_a_journal_cut_off_anywhere_is_refused_if_its_length_is_known(tmp_path: Path) -> None:
    path = lines_of_a_run(tmp_path)
    whole = path.read_bytes()
    assert not is_refused(path, at_least=len(whole))
    for length in reversed(range(len(whole))):
        os.truncate(path, length)
        assert is_refused(path, at_least=len(whole)), f"cut at {length}"


def test_a_journal_cut_off_within_a_line_is_refused_in_any_case(tmp_path: Path) -> None:
    """One that ends with a whole line may be all that was written."""
    path = lines_of_a_run(tmp_path)
    whole = path.read_bytes()
    for length in reversed(range(len(whole))):
        os.truncate(path, length)
        assert is_refused(path) == (not whole[:length].endswith(b"\n")), f"cut at {length}"


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_a_journal_with_one_octet_changed_anywhere_is_refused(tmp_path: Path, mask: int) -> None:
    path = lines_of_a_run(tmp_path)
    whole = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for at, octet in enumerate(whole):
            os.pwrite(file.fileno(), bytes([octet ^ mask]), at)
            assert is_refused(path), f"octet {at}"
            os.pwrite(file.fileno(), bytes([octet]), at)
    assert not is_refused(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\n" * PAGE,
        b"\0" * PAGE,
        b"\xff" * 100,
        b"Hello.\n",
        line("begun 1"),
        line("mailer-journal-2 5f0c -"),
        line("mailer-journal-1"),
        line("mailer-journal-1 5f0d " + boot()),
        line(f"mailer-journal-1 5f0c0 {boot()}"),
        line("begun 1") + HEAD,
        HEAD + b"\0" * 100,
        HEAD + line("begun"),
        HEAD + line("begun one"),
        HEAD + line("accepted 1"),
        HEAD + line("accepted 1 now 250 ok"),
        HEAD + line("eaten 1 1772368215.250 250 ok"),
        HEAD + line(""),
        HEAD + b"00000000 \xff\xfe\n",
    ],
)
def test_what_is_no_journal_of_this_run_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.journal"
    path.write_bytes(content)
    assert is_refused(path)


def test_the_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, begun(1), run="another")
    assert is_refused(path)
    assert not is_refused(path, run="another")


@pytest.mark.parametrize("place", ["missing.journal", "."])
def test_a_journal_that_can_not_be_read_is_refused(tmp_path: Path, place: str) -> None:
    assert is_refused(tmp_path / place)


def test_after_a_new_start_of_the_machine_what_is_missing_says_nothing(tmp_path: Path) -> None:
    """Lines are not forced to the disk. Those that are there hold."""
    path = tmp_path / "any.journal"
    for started in ("9c6f1f5e-0000-0000-0000-000000000000", "-", ""):
        path.write_bytes(line(f"mailer-journal-1 {RUN} {started}") + line("begun 1"))
        account = read(path, RUN, EVERY_ROW)
        assert (account.complete, account.entries) == (False, {1: Entry()})


# The file.


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = written(tmp_path / "deep" / "journal")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_journal_is_nobodys_to_overwrite(tmp_path: Path) -> None:
    path = written(tmp_path, begun(1))
    before = path.read_bytes()
    with pytest.raises(JournalError):
        Journal(tmp_path, RUN)
    assert path.read_bytes() == before


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="JOURNAL_FOLDER"):
        Journal(tmp_path / "file", RUN)


def test_a_run_that_ends_well_leaves_none(tmp_path: Path) -> None:
    log = Journal(tmp_path, RUN)
    log.remove()
    assert list(tmp_path.iterdir()) == []


# Other processes.

FILL = """
import resource, sys
from pathlib import Path
from mailer.delivery.journal import Journal, JournalError, begun, settled
from mailer.delivery.outcomes import Outcome
from mailer.states import DeliveryState

place, at_once, limits = Path(sys.argv[1]), int(sys.argv[2]), map(int, sys.argv[3:])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log, row = Journal(place, str(limit)), 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        while True:
            told = Outcome(DeliveryState.ACCEPTED, "250 " + "x" * (row % 300))
            log.write(*(settled(row + each, told) for each in range(1, at_once + 1)))
            row += at_once
    except JournalError as error:
        print(limit, row, log.size, "can't be written" in str(error))
"""
HOLD = """
import sys, time
from pathlib import Path
from mailer.delivery.journal import Journal, begun

log = Journal(Path(sys.argv[1]), sys.argv[2])
print("holds it", flush=True)
row = 0
while True:
    row += 1
    log.write(*[begun(row)] * (1 + row % 3))
    if sys.argv[3] == "slowly":
        time.sleep(60)
"""


def python(code: str, *args: object) -> Sequence[str]:
    return [sys.executable, "-c", code, *map(str, args)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_full_disk_leaves_all_or_nothing_of_a_write_and_says_so(tmp_path: Path, at_once: int) -> None:
    limits = [*range(200, 600, 7), *range(PAGE - 600, PAGE + 600, 31)]
    told = subprocess.run(python(FILL, tmp_path, at_once, *limits), capture_output=True, text=True, check=True).stdout
    assert len(told.splitlines()) == len(limits)
    for limit, rows, size, explained in (each.split() for each in told.splitlines()):
        path = journal_path(tmp_path, limit)
        assert (path.stat().st_size, explained) == (int(size), "True")
        assert set(read(path, limit, EVERY_ROW, int(size)).entries) == set(range(1, int(rows) + 1))


@contextmanager
def holder(place: Path, run: str, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another sender at work; killed at the end."""
    with subprocess.Popen(python(HOLD, place, run, how), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "holds it\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def test_a_journal_is_held_as_long_as_its_sender_lives(tmp_path: Path) -> None:
    path = journal_path(tmp_path, RUN)
    assert not is_held(path), "there is none yet"
    with holder(tmp_path, RUN, "slowly") as process:
        assert is_held(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_held(path)


def test_a_journal_of_our_own_is_held_until_it_is_closed(tmp_path: Path) -> None:
    log = Journal(tmp_path, RUN)
    assert is_held(log.path)
    log.close()
    assert not is_held(log.path)


def test_a_sender_killed_while_it_writes_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    for number in range(5):
        with holder(tmp_path, f"run{number}", "fast") as process:
            time.sleep(0.005 * number)
            process.send_signal(signal.SIGKILL)
            process.wait()
        path = journal_path(tmp_path, f"run{number}")
        rows = read(path, f"run{number}", EVERY_ROW, path.stat().st_size).entries
        assert set(rows) == set(range(1, len(rows) + 1))
