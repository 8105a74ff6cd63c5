"""Real processes that do the same thing at the same moment: nobody gets anything twice, and nothing is lost."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa
import time_machine
from sqlalchemy import Connection

from mailer.db import db

from ..installation import Installation
from .test_editions import news

# Everything is loaded before the word is given, so that the commands begin together.
WAITING = """
import sys
from mailer.cli import main
from mailer.due import run_due
print("ready", flush=True)
sys.stdin.readline()
main()
"""
PEOPLE = 40


def begin(here: Installation, *commands: Sequence[object]) -> list[subprocess.Popen[str]]:
    """Start these commands at the same moment."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WAITING, *map(str, each)],
            cwd=here.folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for each in commands
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def end(started: Sequence[subprocess.Popen[str]]) -> None:
    """All of them have to end well."""
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), said


@contextmanager
def until_all_wait(here: Installation, count: int) -> Iterator[None]:
    """Keeps the ledger shut until so many processes wait at its door, or for another one that does. On SQLite they
    come one after another anyway."""
    with here.app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            yield
            return
        connection.execute(sa.text("LOCK TABLE delivery IN SHARE MODE"))
        yield
        until_waiting(connection, count)


def until_waiting(connection: Connection, count: int) -> None:
    """Until so many processes wait for a lock in this database."""
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    anew = sa.text("SELECT pg_stat_clear_snapshot()")  # else a transaction sees them as they were at its first look
    deadline = time.monotonic() + 9  # the product itself waits no longer than ten seconds
    while connection.execute(anew) and connection.scalar(waiting) < count:
        assert time.monotonic() < deadline, "they do not come to this point together"
        time.sleep(0.05)


def everybody(here: Installation, frequency: str) -> list[str]:
    """So many people who chose it."""
    names = [f"person{number}@example.org" for number in range(PEOPLE)]
    rows = "".join(f"{name},{frequency}\n" for name in names)
    here.run("subscriber", "import", here.write("people.csv", f"email,frequency\n{rows}"), "--basis", "a test")
    return sorted(names)


@pytest.mark.parametrize("frequency", ["weekly", "immediate"])
def test_a_window_that_two_close_makes_one_digest(here: Installation, frequency: str) -> None:
    """D-180: two machines with a crontab each, or one beside `mailer serve`."""
    names = everybody(here, frequency)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with time_machine.travel(hour_ago - timedelta(hours=1)):
        at = ["--at", f"{hour_ago:%a %H:%M}"] if frequency == "weekly" else []
        here.run("digest", "schedule", frequency, *at)
    with time_machine.travel(hour_ago - timedelta(minutes=30)):
        here.run("announcement", "add", here.write("news.md", news("one")))
    end(begin(here, ["run-due"], ["run-due"], ["run-due"]))
    here.run("run-due")
    assert [each["state"] for each in here.json("digest", "list")] == ["sent"]
    assert sorted(mail.to for mail in here.mail_server.mails) == names


def test_two_digests_that_hold_the_same_announcement_bring_it_once(here: Installation) -> None:
    """D-180: each of them is enlisted while the other one is."""
    names = everybody(here, "weekly")
    here.run("announcement", "add", *(here.write(f"{key}.md", news(key)) for key in ("one", "two", "three")))
    first = here.json("digest", "compose", 1, 2)["digest"]
    second = here.json("digest", "compose", 1, 3)["digest"]
    with until_all_wait(here, 2):
        processes = begin(here, *(["digest", "send", digest, "--yes"] for digest in (first, second)))
    end(processes)
    for key in ("one", "two", "three"):
        got = [mail.to for mail in here.mail_server.mails if f"News of {key}." in mail.part("plain")]
        assert sorted(got) == names, f"everybody has {key}, and nobody has it twice"
    assert [here.status(digest)["accepted"] for digest in (first, second)] == [PEOPLE, PEOPLE]


@contextmanager
def rows_held(here: Installation, table: str) -> Iterator[Callable[[int], None]]:
    """Somebody else has the rows of a table until it ends; gives what waits until so many others want them, or wait
    for one who does."""
    with here.app.app_context(), db.engine.connect() as connection:
        connection.execute(sa.text(f"SELECT FROM {table} FOR UPDATE"))
        yield partial(until_waiting, connection)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("by", ["operator", "themselves"])
def test_who_signs_up_while_they_are_erased_begins_anew(here: Installation, by: str) -> None:
    """D-133: they are told to look into their mailbox, so there has to be a letter."""
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    here.mail_server.mails.clear()

    def erase() -> None:
        if by == "operator":
            here.run("subscriber", "erase", "ada@example.org")
        else:
            assert here.site.post(link, data={"erase": "yes"}).status_code == 200

    with ThreadPoolExecutor() as threads, rows_held(here, "subscriber") as wait:
        erasing = threads.submit(erase)
        wait(1)
        signing_up = threads.submit(here.sign_up, "ada@example.org")
        wait(2)
    erasing.result()
    signing_up.result()
    assert here.json("stats")["pending"] == 1
    here.run("run-due")
    here.confirm("ada@example.org")
