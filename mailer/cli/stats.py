"""`mailer stats`."""

import click

from mailer.cli.common import as_json, say, with_app
from mailer.subscriptions import people


@click.command("stats")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def command(*, wants_json: bool) -> None:
    """Count the subscriptions in each state.

    \b
    Example:  mailer stats --json
    """
    counts = people.counts()
    if wants_json:
        as_json(counts)
        return
    for state, count in counts.items():
        say(f"{state:<10} {count:>8}")
