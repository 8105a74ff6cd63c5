"""`mailer topic …`."""

from typing import Any

import click

from mailer import topics
from mailer.cli.common import as_json, say, with_app
from mailer.config import settings
from mailer.lists import the_list
from mailer.models import Topic
from mailer.parsing import name as parse_name


class Name(click.ParamType[tuple[str, str]]):
    """A name in a language, like fr=Droit d’auteur."""

    name = "language=name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        code, sign, words = str(value).partition("=")
        if not sign:
            self.fail(f"{value!r} is not a language and a name like fr=Politique", param, ctx)
        try:
            return code.strip().lower(), parse_name(words)
        except ValueError as error:
            self.fail(f"the name of {value!r} {error}", param, ctx)


names_option = click.option(
    "--name", "names", type=Name(), multiple=True, help='In a language: fr="…". May be repeated.'
)
position_option = click.option("--position", type=click.IntRange(1), help="Its place among the topics.")


@click.group("topic")
def command() -> None:
    """Name, order and retire the topics that announcements are about and subscribers choose."""


@command.command()
@click.argument("key")
@names_option
@position_option
@with_app
def add(key: str, names: tuple[tuple[str, str], ...], position: int | None) -> None:
    """Offer a topic, or a retired one again. KEY is what announcement files and imports call it.

    \b
    Example:  mailer topic add copyright --name en="Copyright" --name fr="Droit d’auteur"
    """
    say(line(topics.add(the_list().id, key, of_the_list(names), position)))


@command.command()
@click.argument("key")
@names_option
@position_option
@with_app
def rename(key: str, names: tuple[tuple[str, str], ...], position: int | None) -> None:
    """Give a topic other names, or another place. Its key stays.

    \b
    Example:  mailer topic rename policy --name fr="Politiques publiques"
    """
    if not (names or position):
        raise click.UsageError('say what to change: --name fr="…" or --position 1')
    say(line(topics.rename(the_list().id, key, of_the_list(names), position)))


@command.command()
@click.argument("key")
@click.option("--into", metavar="OTHER", help="Give whoever chose it, and whatever is about it, this other topic.")
@click.option("--retire", is_flag=True, help="Stop offering it; who chose it keeps it.")
@with_app
def remove(key: str, into: str | None, *, retire: bool) -> None:
    """Remove a topic that nobody chose and no announcement is about; of others, say what is to become of them.

    \b
    Example:  mailer topic remove ip-offices --into policy
    """
    list_id = the_list().id
    if into and retire:
        raise click.UsageError("choose --into or --retire")
    if into:
        used = topics.merge(list_id, key, into)
        say(f"{into} takes over {used.subscriptions} subscribers and {used.announcements} announcements of {key}")
    elif retire:
        used = topics.retire(list_id, key)
        say(
            f"{key} is offered no longer; {used.subscriptions} subscribers keep it, {used.alone} of them chose no other"
        )
    else:
        topics.remove(list_id, key)
        say(f"removed topic {key}")


@command.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List the topics in their order, with how many chose each and how many announcements are about it.

    \b
    Example:  mailer topic list
    """
    found = topics.every(the_list().id)
    if wants_json:
        as_json([summary(each) for each in found])
        return
    for each in found:
        say(line(each))


def of_the_list(names: tuple[tuple[str, str], ...]) -> dict[str, str]:
    if unknown := [code for code, _ in names if code not in settings().languages]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(settings().languages)}", param_hint="--name")
    return dict(names)


def line(topic: Topic) -> str:
    used = topics.use(topic)
    names = ", ".join(f"{code}: {words}" for code, words in topic.names.items()) or "no name yet"
    counts = f"{used.subscriptions} subscribers, {used.announcements} announcements"
    return f"{topic.position:>3}  {topic.key:<20}  {counts}{'  retired' if topic.retired_at else ''}  ({names})"


def summary(topic: Topic) -> dict[str, Any]:
    used = topics.use(topic)
    return {
        "key": topic.key,
        "names": topic.names,
        "position": topic.position,
        "retired": topic.retired_at is not None,
        "subscriptions": used.subscriptions,
        "announcements": used.announcements,
    }
