"""An announcement in the operator's own editor: checked when it is saved, and never lost."""

import os
import tempfile
from pathlib import Path

import click

from mailer.cli.common import say
from mailer.config import settings
from mailer.digests import announcements
from mailer.digests.announcements import Added
from mailer.digests.files import AnnouncementFile, parse, written
from mailer.errors import BadAnnouncement, BadInput, MailerError
from mailer.models import Announcement


def edit(announcement: Announcement, language: str) -> None:
    """One language of it, or a new one. Raises BadInput, with the name of the file that holds the text, if it can't be
    saved and the operator leaves it at that."""
    before = original(announcement, language) or template(announcement, language)
    path = draft(announcement, language, before)
    while True:
        open_editor(path)
        try:
            after = path.read_text(encoding="utf-8-sig")
            if after.replace("\r\n", "\n") == before:
                say(f"{announcement.id}  unchanged  {language}")
                break
            told(saved(announcement, language, after, str(path)))
            break
        except UnicodeDecodeError:
            ask_again(BadAnnouncement(f"{path}: is not UTF-8; save it as UTF-8"), path)
        except MailerError as error:
            ask_again(error, path)
    path.unlink()


def open_editor(path: Path) -> None:
    try:
        click.edit(filename=str(path))
    except click.ClickException as error:
        raise BadInput(f"{error.format_message()} EDITOR names the one to use; the text is in {path}") from None


def original(announcement: Announcement, language: str) -> str | None:
    text = announcement.in_language(language)
    return written(announcements.as_file(announcement, text)) if text else None


def template(announcement: Announcement, language: str) -> str:
    """What a new translation begins with: the words to be translated stand in comments."""
    file = announcements.as_file(announcement, announcement.translations[0])
    words = "".join(f"# {line}".rstrip() + "\n" for line in written(file).splitlines())
    head = f"title:\ndate: {file.date}\ntranslation-of: {file.key}\nlanguage: {language}\nurl:\n"
    return f"---\n{head}#\n# To be translated; lines that begin with # are not kept:\n#\n{words}---\n\n"


def draft(announcement: Announcement, language: str, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=f"announcement-{announcement.id}-{language}-", suffix=".md")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def saved(announcement: Announcement, language: str, text: str, name: str) -> Added:
    file = parse(text, name, settings().languages)
    check_identity(file, announcement, language)
    return announcements.store([file], "announcement edit")[0]


def check_identity(file: AnnouncementFile, announcement: Announcement, language: str) -> None:
    """Raises BadAnnouncement for a file that would become something else than what was opened."""
    if file.key != announcement.key:
        raise BadAnnouncement(f"{file.name}: key: stays {announcement.key!r}, by which translations know it")
    if file.language != language:
        raise BadAnnouncement(f"{file.name}: language: stays {language!r}; edit --language adds another one")


def told(added: Added) -> None:
    text = added.translation
    say(f"{added.announcement.id}  {added.change}  {text.language}  {text.title}")
    for digest_id in announcements.keeping_their_words(added.announcement):
        say(f"digest {digest_id} was approved before: it keeps its words")


def ask_again(error: MailerError, path: Path) -> None:
    """Show what is wrong and offer the editor anew. Raises BadInput if nobody wants to, or can be asked."""
    click.echo(f"mailer: {error}", err=True)
    try:
        again = click.confirm("Edit again?", default=True, err=True)
    except click.Abort:
        again = False
    if not again:
        raise BadInput(f"nothing was changed; your text is kept in {path}")
