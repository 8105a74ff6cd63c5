"""`mailer announcement …`."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailer import audit
from mailer.cli.common import ID, Day, as_json, say, with_app
from mailer.config import settings
from mailer.digests import announcements
from mailer.digests.files import is_web_address, written
from mailer.errors import BadInput, NotFound
from mailer.models import Announcement, AnnouncementTranslation, Topic
from mailer.parsing import is_word
from mailer.states import AnnouncementType

if TYPE_CHECKING:
    from mailer.digests.importing import Imported, Result

FILES = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("announcement")
def command() -> None:
    """Add, import, edit, list, show and remove announcements."""


@command.command()
@click.argument("files", type=FILES, nargs=-1, required=True)
@with_app
def add(files: tuple[Path, ...]) -> None:
    """Add Markdown files with front matter; a file added again updates its announcement.

    All of them or, if one can't be used, none. Prints a line per announcement with its id.

    \b
    Example:  mailer announcement add recap.md recap.fr.md
    """
    for each in announcements.add(files, "announcement add"):
        text = each.translation
        say(f"{each.announcement.id}  {each.change}  {text.language}  {text.title}")
        tell_topics(each.new_topics)


def tell_topics(keys: Sequence[str]) -> None:
    for key in keys:
        click.echo(f"new topic {key}: 'mailer topic rename {key} --name en=…' gives it a name", err=True)


def words(_: click.Context, parameter: click.Parameter, given: str | None) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(key.strip() for key in given.split(","))) if given else ()
    if bad := [key for key in keys if not is_word(key)]:
        raise click.BadParameter(f"{bad[0]!r} is not a word of a-z, 0-9 and hyphens", param=parameter)
    return keys


def web_address(_: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    if given and not is_web_address(given):
        raise click.BadParameter(f"{given!r} is not an address like https://example.org/news", param=parameter)
    return given


@command.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--topics", callback=words, help="What new announcements are about, parted by commas.")
@click.option(
    "--type", "kind", type=click.Choice([each.value for each in AnnouncementType]), default="news", show_default=True
)
@click.option("--language", metavar="CODE", help="The language they are in, whatever the source says.")
@click.option("--translation-of", metavar="KEY", help="The page is an announcement that there is, in another language.")
@click.option("--url", callback=web_address, help="Where the page stands on the web, for a file that does not say.")
@click.option("--title", help="The title of a page that has none.")
@click.option("--date", "day", type=Day(), help="The date of a page that has none.")
@click.option("--update", is_flag=True, help="Take over what has changed in a source, unless it was edited here.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@with_app
def import_(sources: tuple[str, ...], kind: str, day: dt.date | None, **options: Any) -> None:
    """Import news pages and feeds: HTML, RSS or Atom, from files or https:// addresses.

    Adds what is new and prints a line per announcement with its id. What was imported before stays as it is; a
    change in the source is reported, and taken over with --update. What can't be used keeps nothing else out.

    \b
    Example:  mailer announcement import https://example.org/news/feed.xml --topics policy
    """
    from mailer.digests.importing import Wanted, import_all

    wanted = Wanted(type=AnnouncementType(kind), date=day, **options)
    if wanted.is_of_one_page and len(sources) > 1:
        raise click.UsageError("--url, --title, --date and --translation-of are for a single page.")
    result = import_all(sources, wanted)
    for each in result.done:
        tell_import(each)
    tell_result(result, dry_run=wanted.dry_run)


REMARKS = {
    "changed": "it says something else than it did; --update takes that over",
    "kept": "it has changed in its source and was edited here: 'mailer announcement edit {id}' brings the two together",
}


def tell_import(each: "Imported") -> None:
    number = each.announcement.id if each.announcement else "-"
    say(f"{number}  {each.change}  {each.file.language}  {each.file.title}")
    if each.change in REMARKS:
        click.echo(f"{number}: {REMARKS[each.change].format(id=number)}", err=True)
    if each.change == "added" and each.file.image and not each.file.image_alt:
        click.echo(f"{number}: nothing says what its image shows; 'mailer announcement edit {number}' can", err=True)
    tell_topics(each.new_topics)


def tell_result(result: "Result", *, dry_run: bool) -> None:
    """What remains to be said. Raises BadInput if something was refused."""
    if dry_run:
        click.echo("nothing was written: --dry-run", err=True)
    elif result.done and not {each.change for each in result.done} & {"added", "updated"}:
        click.echo("nothing new", err=True)
    if result.refused:
        raise BadInput("\n".join(result.refused))


@command.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List the announcements, the newest first; ! marks those that lack something.

    \b
    Example:  mailer announcement list
    """
    found = announcements.every()
    known = announcements.topics_by_key(found[0].list_id) if found else {}
    if wants_json:
        as_json([summary(each, known) for each in found])
        return
    for each in found:
        languages = ",".join(text.language for text in each.translations)
        mark = "!" if announcements.lacking(each, known) else " "
        say(f"{each.id:>4}  {each.date}  {mark}  {each.type:<11}  {languages:<8}  {each.translations[0].title}")


@command.command()
@click.argument("announcement_id", type=ID, metavar="ID")
@click.option("--language", metavar="CODE", help="Only the file of this language.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def show(announcement_id: int, language: str | None, *, wants_json: bool) -> None:
    """Show an announcement as the file of each of its languages, and on stderr what it lacks.

    \b
    Example:  mailer announcement show 1 --language fr > recap.fr.md
    """
    found = announcements.find(announcement_id)
    if wants_json:
        as_json({**summary(found), "translations": [translation(text) for text in found.translations]})
        return
    say("\n".join(written(announcements.as_file(found, text)) for text in chosen(found, language)).rstrip("\n"))
    for lack in announcements.lacking(found):
        click.echo(f"lacks: {lack}", err=True)


def chosen(announcement: Announcement, language: str | None) -> Iterable[AnnouncementTranslation]:
    """Raises NotFound for a language that it is not in."""
    if language is None:
        return announcement.translations
    text = announcement.in_language(language)
    if text is None:
        raise NotFound(f"announcement {announcement.id} is not in {language!r}: 'mailer announcement edit' can add it")
    return [text]


@command.command()
@click.argument("announcement_id", type=ID, metavar="ID")
@click.option(
    "--language", metavar="CODE", help="Only this language; a new one begins with the words to be translated."
)
@with_app
def edit(announcement_id: int, language: str | None) -> None:
    """Edit an announcement in $VISUAL or $EDITOR, a file for each language.

    What can't be saved is shown with its line and offered again; the text is kept. Digests that were approved keep
    their words.

    \b
    Example:  mailer announcement edit 1 --language fr
    """
    from mailer.cli import editor

    found = announcements.find(announcement_id)
    if language and language not in settings().languages:
        raise BadInput(f"language {language!r} is not one of this list's: {', '.join(settings().languages)}")
    for code in [language] if language else [text.language for text in found.translations]:
        editor.edit(found, code)


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


def summary(each: Announcement, known: Mapping[str, Topic] | None = None) -> dict[str, Any]:
    return {
        "id": each.id,
        "key": each.key,
        "type": each.type,
        "date": each.date,
        "deadline": each.deadline,
        "topics": each.topics,
        "languages": [text.language for text in each.translations],
        "title": each.translations[0].title,
        "author": each.translations[0].author,
        "source": each.source,
        "lacking": announcements.lacking(each, known),
    }


def translation(text: Any) -> dict[str, Any]:
    names = ("language", "title", "author", "summary", "body", "url", "image", "image_alt")
    return {name: getattr(text, name) for name in names}
