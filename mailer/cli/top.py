"""`mailer top`: a live view of what is at work, for a terminal."""

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from mailer import vitals
from mailer.cli import looking
from mailer.cli.common import as_json, stop_on_signals, with_app
from mailer.db import db
from mailer.digests import compose
from mailer.digests.sending import Status
from mailer.lists import the_list
from mailer.localtime import local
from mailer.states import SubscriptionState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

PAUSE = 1.0  # seconds between pictures
WIDE = 140  # columns, where no terminal says how many there are


@click.command("top")
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object and end.")
@with_app
def command(*, once: bool, wants_json: bool) -> None:
    """Watch digests go out: progress, rates, senders, who puts letters off, what went wrong last. Ctrl-C ends it.

    \b
    Example:  mailer top
    """
    if wants_json:
        as_json(numbers())
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    if once or not console.is_terminal:
        console.print(picture())
        return
    with stop_on_signals() as stop, Live(console=console, screen=True, auto_refresh=False) as live:
        show(live, stop)


def show(live: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        live.update(picture(), refresh=True)
        db.session.rollback()  # the next picture sees what has changed
        stop.wait(PAUSE)


def numbers() -> dict[str, Any]:
    statuses = vitals.digests()
    waiting = vitals.backlog()
    return {
        "subscriptions": vitals.subscriptions(),
        "waiting": waiting._asdict(),
        "heartbeat_seconds": vitals.heartbeat(),
        "digests": [status.as_json() for status in statuses],
        "senders": [sender._asdict() for sender in vitals.senders()],
        "slowest": [provider._asdict() for provider in vitals.slowest(statuses)],
        "failures": [failure._asdict() for failure in vitals.failures(statuses)],
    }


def picture() -> "Group":
    from rich.console import Group
    from rich.text import Text

    statuses = vitals.digests()
    parts: list[Any] = [Text(line) for line in header()]
    tables = (digests(statuses), senders(), slowest(statuses), failures(statuses))
    for each in (table for table in tables if table.row_count):
        parts += [Text(), each]
    return Group(*parts)


def header() -> list[str]:
    counts, waiting, seen = vitals.subscriptions(), vitals.backlog(), vitals.heartbeat()
    people = f"{counts[SubscriptionState.CONFIRMED]} confirmed, {counts[SubscriptionState.PENDING]} pending"
    late = f", the oldest for {duration(waiting.oldest)}" if waiting.letters else ""
    did = "nobody has done what is due yet" if seen is None else f"done what is due {duration(seen)} ago"
    return [f"{the_list().name}: {people}", f"{waiting.letters} letters wait{late}; {did}"]


def duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="ellipsis", no_wrap=True)
    return made


def digests(statuses: list[Status]) -> "Table":
    made = table("Digests", "", "state", "subject", "accepted", "put off", "failed", "unknown", "rate", "left")
    for status in statuses:
        tally = status.tally
        made.add_row(
            str(status.digest),
            status.state,
            looking.subject(compose.find(status.digest)),
            f"{tally.accepted}/{tally.enlisted}",
            str(tally.deferred),
            str(tally.bounced + tally.blocked),
            str(tally.unknown),
            f"{status.rate:.1f}/s" if status.rate else "",
            duration(status.eta_seconds) if status.eta_seconds is not None else "",
        )
    return made


def senders() -> "Table":
    made = table("Senders", "works on", "host", "sessions", "rate", "last sign of life")
    for sender in vitals.senders():
        scope = f"digest {sender.digest}" if sender.digest else "single letters"
        made.add_row(scope, sender.host, str(sender.sessions), f"{sender.rate:.1f}/s", f"{duration(sender.silent)} ago")
    return made


def slowest(statuses: list[Status]) -> "Table":
    made = table("Who puts letters off", "domain", "letters")
    for provider in vitals.slowest(statuses):
        made.add_row(provider.domain, str(provider.letters))
    return made


def failures(statuses: list[Status]) -> "Table":
    made = table("What went wrong last", "when", "digest", "", "domain", "the server's words")
    for failure in vitals.failures(statuses):
        when = f"{local(failure.at):%H:%M:%S}" if failure.at else ""
        made.add_row(when, str(failure.digest), failure.state, failure.domain, failure.reply)
    return made
