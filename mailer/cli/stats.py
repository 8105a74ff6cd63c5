"""`mailer stats`."""

from dataclasses import asdict

import click

from mailer.cli.common import as_json, say, with_app
from mailer.subscriptions import people, throttle


@click.command("stats")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def command(*, wants_json: bool) -> None:
    """The list in numbers: people by state, why they left, languages, what waits to be sent; and whether sign-ups look
    like an attack just now.

    \b
    Example:  mailer stats --json
    """
    counts = people.counts()
    attack = throttle.attack()
    if wants_json:
        as_json(counts | ({"attack": asdict(attack)} if attack else {}))
        return
    for name, value in counts.items():
        if isinstance(value, dict):
            told = ", ".join(f"{number} {word}" for word, number in value.items() if number)
            say(f"{name.replace('_', ' '):<21} {told or '-'}")
        else:
            say(f"{name.replace('_', ' '):<21} {value}")
    if attack:
        say(f"under attack: {attack.asked} sign-ups in the last hour, {attack.confirmed} confirmed; all have to prove")
        say("that they are no robot, and limits are five times lower, until it is over")
