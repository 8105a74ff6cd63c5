"""`mailer announcement …`."""

from pathlib import Path
from typing import Any

import click

from mailer import audit
from mailer.cli.common import ID, as_json, say, with_app
from mailer.digests import announcements
from mailer.models import Announcement

FILES = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("announcement")
def command() -> None:
    """Add, list, show and remove announcements."""


@command.command()
@click.argument("files", type=FILES, nargs=-1, required=True)
@with_app
def add(files: tuple[Path, ...]) -> None:
    """Add Markdown files with front matter; a file added again updates its announcement.

    All of them or, if one can't be used, none. Prints a line per announcement with its id.

    \b
    Example:  mailer announcement add recap.md recap.fr.md
    """
    for each in announcements.add(files):
        text = each.translation
        audit.note_now("announcement add", f"announcement {each.announcement.id}, {text.language}, {each.change}")
        say(f"{each.announcement.id}  {each.change}  {text.language}  {text.title}")
        for key in each.new_topics:
            click.echo(f"new topic {key}: 'mailer topic rename {key} --name en=…' gives it a name", err=True)


@command.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List the announcements, the newest first.

    \b
    Example:  mailer announcement list
    """
    found = announcements.every()
    if wants_json:
        as_json([summary(each) for each in found])
        return
    for each in found:
        languages = ",".join(text.language for text in each.translations)
        say(f"{each.id:>4}  {each.date}  {each.type:<11}  {languages:<8}  {each.translations[0].title}")


@command.command()
@click.argument("announcement_id", type=ID, metavar="ID")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def show(announcement_id: int, *, wants_json: bool) -> None:
    """Show an announcement in all its languages.

    \b
    Example:  mailer announcement show 1
    """
    found = announcements.find(announcement_id)
    if wants_json:
        as_json({**summary(found), "translations": [translation(text) for text in found.translations]})
        return
    say(f"{found.id}  {found.key}  {found.type}  {found.date}")
    for text in found.translations:
        say(f"\n[{text.language}] {text.title}\n{text.url or ''}\n\n{text.body}")


@command.command()
@click.argument("announcement_id", type=ID, metavar="ID")
@with_app
def remove(announcement_id: int) -> None:
    """Remove an announcement that no digest holds.

    \b
    Example:  mailer announcement remove 1
    """
    audit.note_now("announcement remove", f"announcement {announcement_id}")
    removed = announcements.remove(announcement_id)
    say(f"removed announcement {announcement_id} ({removed.key})")


def summary(each: Announcement) -> dict[str, Any]:
    return {
        "id": each.id,
        "key": each.key,
        "type": each.type,
        "date": each.date,
        "deadline": each.deadline,
        "topics": each.topics,
        "languages": [text.language for text in each.translations],
        "title": each.translations[0].title,
    }


def translation(text: Any) -> dict[str, Any]:
    names = ("language", "title", "summary", "body", "url", "image", "image_alt")
    return {name: getattr(text, name) for name in names}
