"""`mailer audit`."""

from datetime import UTC, date, datetime, time

import click

from mailer import audit
from mailer.cli.common import Day, as_json, say, with_app


@click.command("audit")
@click.option("--since", type=Day(), metavar="DATE", help="Only from this date on (UTC).")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def command(since: date | None, *, wants_json: bool) -> None:
    """Read what operators did: who exported, imported, sent, changed or erased, and when.

    \b
    Example:  mailer audit --since 2026-01-31
    """
    begin = datetime.combine(since, time.min, UTC) if since else None
    if wants_json:
        as_json([audit.record(each) for each in audit.entries(begin)])
        return
    for each in audit.entries(begin):
        say(f"{each.at:%Y-%m-%d %H:%M:%S}  {each.who:<12}  {each.act:<22}  {each.about}".rstrip())
