"""`mailer subscriber import|export`: people in and out, by files."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from mailer import audit
from mailer.cli.common import as_json, progress, say, with_app
from mailer.errors import BadInput
from mailer.states import Frequency, SubscriptionState
from mailer.subscriptions import exporting, importing
from mailer.subscriptions.importing import WHY, Refusal, Report
from mailer.subscriptions.people import Which
from mailer.subscriptions.tables import Table, TableWriter, known_encoding, open_table

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)

state_option = click.option(
    "--state", type=click.Choice([each.value for each in SubscriptionState]), help="Only those in this state."
)
language_option = click.option("--language", metavar="L", help="Only those who read in this language.")
frequency_option = click.option(
    "--frequency", type=click.Choice([each.value for each in Frequency]), help="Only those who chose it."
)
topic_option = click.option("--topic", metavar="T", help="Only those who chose this topic.")


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--basis", required=True, help="Why these people may be written to; kept as evidence.")
@click.option("--encoding", metavar="NAME", help="Default: UTF-8, UTF-16 or what the file looks like.")
@click.option("--errors", type=OUT, metavar="FILE", help="Write refused rows there, each with its reason.")
@click.option("--ignore-unknown", is_flag=True, help="Leave unknown columns aside.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def import_(
    file: Path,
    basis: str,
    encoding: str | None,
    errors: Path | None,
    *,
    ignore_unknown: bool,
    dry_run: bool,
    wants_json: bool,
) -> None:
    """Take over people from a CSV file: confirmed at once on the stated basis.

    Columns: email[,language,frequency,topics,consent_at,consent_source]. Sends nothing, never revives one who left,
    changes nobody who is known, and may be repeated. An export has more columns: who is pending or ended there stays
    so. Refused rows are said, and the rest is imported; mend the file of --errors and import it.

    \b
    Example:  mailer subscriber import members.csv --basis "signed up at the 2023 conference"
    """
    if not basis.strip() or not basis.isprintable():
        raise click.BadParameter("say why these people may be written to", param_hint="--basis")
    table = open_table(file, encoding and known_encoding(encoding))
    names = importing.column_names(table, ignore_unknown=ignore_unknown)
    if not wants_json:
        say(f"{file}: {table.count} rows, read as {table.encoding}")
    if not dry_run:
        audit.note_now("subscriber import", f"{table.count} rows of {file.name}: {basis.strip()}")
    with watching(table) as watch, refusals(table, errors) as refuse:
        report = importing.import_table(table, names, basis.strip(), dry_run=dry_run, refuse=refuse, watch=watch)
    if wants_json:
        as_json({"encoding": table.encoding, "dry_run": dry_run, **vars(report)})
    else:
        conclude(report, dry_run=dry_run)


def conclude(report: Report, *, dry_run: bool) -> None:
    say(
        f"{'would add' if dry_run else 'added'} {report.added}, already on the list {report.known}, "
        f"left before {report.left}, refused {report.refused}"
    )


@contextmanager
def watching(table: Table) -> Iterator[Callable[[Report], None]]:
    with progress("read") as move:
        yield lambda report: move(report.done, table.count, f"{report.refused} refused" if report.refused else "")


@contextmanager
def refusals(table: Table, path: Path | None) -> Iterator[Callable[[Refusal], None]]:
    """Says each refused row, and writes it to a file that can be mended and imported."""

    def tell(refusal: Refusal) -> None:
        click.echo(f"refused  line {refusal.line}: {refusal.reason}", err=True)

    if path is None:
        yield tell
        return
    if path.exists() and path.samefile(table.path):
        raise BadInput(f"{path} is the file that is imported: name another one for its refused rows")
    with private(path) as file:
        writer = TableWriter(file)
        header = [name for name in table.header if name != WHY]
        writer.write([*header, WHY])

        def write(refusal: Refusal) -> None:
            tell(refusal)
            cells = dict(zip(table.header, refusal.cells, strict=False))
            writer.write([*(cells.get(name, "") for name in header), refusal.reason])

        yield write


@click.command()
@click.argument("file", type=OUT, required=False)
@state_option
@language_option
@frequency_option
@topic_option
@click.option("--bom", is_flag=True, help="Begin with the mark by which Excel knows UTF-8.")
@with_app
def export(
    file: Path | None,
    state: str | None,
    language: str | None,
    frequency: str | None,
    topic: str | None,
    *,
    bom: bool,
) -> None:
    """Write everybody to a CSV file (UTF-8), or to stdout. Importing it loses nothing and revives nobody.

    Who was erased, or left so long ago that only a hash of their address is kept, is not in it.

    \b
    Example:  mailer subscriber export list.csv --state confirmed
    """
    which = which_people(state, language, frequency, topic)
    audit.note_now("subscriber export", f"to {file.name if file else 'stdout'}, {describe(which)}")
    encoding = "utf-8-sig" if bom else "utf-8"
    if file:
        with private(file, encoding) as target:
            count = exporting.export(target, which)
        say(f"wrote {count} people to {file}")
        return
    target = io.TextIOWrapper(sys.stdout.buffer, encoding=encoding, newline="")
    try:
        exporting.export(target, which)
        target.flush()
    finally:
        target.detach()  # stdout is not ours to close


def which_people(state: str | None, language: str | None, frequency: str | None, topic: str | None) -> Which:
    return Which(
        SubscriptionState(state) if state else None, language, Frequency(frequency) if frequency else None, topic
    )


def describe(which: Which) -> str:
    return ", ".join(f"{name} {value}" for name, value in vars(which).items() if value) or "everybody"


@contextmanager
def private(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A file of people's addresses, which only its owner may read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding=encoding, newline="") as file:
        yield file
