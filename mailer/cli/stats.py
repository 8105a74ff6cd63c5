"""`mailer stats`."""

import click

from mailer.cli.common import as_json, say, with_app
from mailer.subscriptions import people


@click.command("stats")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def command(*, wants_json: bool) -> None:
    """The list in numbers: people by state, why they left, languages, what waits to be sent.

    \b
    Example:  mailer stats --json
    """
    counts = people.counts()
    if wants_json:
        as_json(counts)
        return
    for name, value in counts.items():
        if isinstance(value, dict):
            told = ", ".join(f"{number} {word}" for word, number in value.items() if number)
            say(f"{name.replace('_', ' '):<21} {told or '-'}")
        else:
            say(f"{name.replace('_', ' '):<21} {value}")
