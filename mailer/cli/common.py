"""What the commands share: the application around a command, JSON on stdout, signals, a progress bar on a terminal."""

import functools
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from typing import Any, ParamSpec, TypeVar

import click
from flask import Flask

from mailer import addresses
from mailer.addresses import Address
from mailer.app import create_app
from mailer.db import db
from mailer.errors import BadAddress
from mailer.lists import the_list
from mailer.localtime import local, zone

P = ParamSpec("P")
R = TypeVar("R")


def with_app(command: Callable[P, R]) -> Callable[P, R]:
    """Run a command inside the application that the settings describe."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with application(lean=True):
            return command(*args, **kwargs)

    return run


@contextmanager
def application(*, lean: bool = False) -> Iterator[Flask]:
    """The application that the settings describe; its connections to the database are closed at the end."""
    with opened(create_app(lean=lean)) as app:
        yield app


@contextmanager
def opened(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def check_database() -> None:
    """One that isn't ready is said now, not to the first visitor. Leaves nothing open: a process that only waits would
    hold up migrations, and not outlive a restart of the database."""
    the_list()
    db.session.remove()


def say(line: str = "") -> None:
    click.echo(line)


def as_json(value: Any) -> None:
    """One JSON document on stdout and nothing else."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def as_json_array(values: Iterable[Any]) -> None:
    """One JSON array on stdout, a line for each value as it comes: there may be a million."""
    mark = "["
    for value in values:
        click.echo(f"{mark}{json.dumps(value, ensure_ascii=False, default=str)}", nl=False)
        mark = ",\n"
    click.echo("[]" if mark == "[" else "]")


def parse_address(given: str) -> Address:
    try:
        return addresses.parse(given, international=True)
    except BadAddress as error:
        raise BadAddress(f"{given!r} is not an address: {error}") from None


# Rows are numbered from 1; a larger number than a database can hold is wrong usage.
ID = click.IntRange(1, 2**31 - 1)


class Domain(click.ParamType[str]):
    """What stands behind the @ of addresses, as they are stored: in lower case, in ASCII."""

    name = "domain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return addresses.parse(f"reader@{value.removeprefix('@')}").domain
        except BadAddress as error:
            self.fail(f"{value!r} is not a domain like example.org: {error}", param, ctx)


class Day(click.ParamType[date]):
    """A date like 2026-01-31."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date like 2026-01-31", param, ctx)


class Moment(click.ParamType[datetime]):
    """A time like 2026-01-31T09:30, in the list's time zone unless it names another."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.year in (MINYEAR, MAXYEAR):  # which it may not have in another time zone
            self.fail(f"{value!r} is not a time like 2026-01-31T09:30", param, ctx)
        return found


def in_our_zone(at: datetime) -> datetime:
    """A time in the list's time zone, which it is meant in unless it names another."""
    # By way of UTC: a time that the clocks leave out is shown as the one it stands for.
    return local((at if at.tzinfo else at.replace(tzinfo=zone())).astimezone(UTC))


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set: what is on the wire finishes, the rest stays queued. A second signal ends
    at once; the journal knows what was on the wire."""
    stop = threading.Event()

    def heed(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {each: signal.signal(each, heed) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A live line on stderr that a call moves to (how many, of how many, more words). Silent if it is no terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, more="")

        def move(completed: int, total: int, more: str) -> None:
            bar.update(task, completed=completed, total=total, more=more)

        yield move
