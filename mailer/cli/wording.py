"""`mailer wording …`."""

import click

from mailer.cli.common import ID, as_json, say, with_app
from mailer.subscriptions import consent


@click.group("wording")
def command() -> None:
    """Look up what people agreed to: every version of the sign-up wording and of the privacy notice."""


@command.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List every version that anybody ever answered, the oldest first.

    \b
    Example:  mailer wording list
    """
    found = consent.every_wording()
    if wants_json:
        as_json([consent.wording_record(each) for each in found])
        return
    for each in found:
        day, begins = f"{each.first_used_at:%Y-%m-%d}", " ".join(each.text.split())[:60]
        say(f"{each.id:>4}  {each.kind:<14}  {each.language}  {day}  {each.sha256[:12]}  {begins}")


@command.command()
@click.argument("wording_id", type=ID, metavar="ID")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def show(wording_id: int, *, wants_json: bool) -> None:
    """Print the text of one version.

    \b
    Example:  mailer wording show 1
    """
    found = consent.find_wording(wording_id)
    if wants_json:
        as_json(consent.wording_record(found))
        return
    say(f"{found.kind} in {found.language}, first answered {found.first_used_at:%Y-%m-%d %H:%M} UTC")
    say(f"sha256 {found.sha256}\n\n{found.text}")
