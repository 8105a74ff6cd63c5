"""`mailer digest preview`: a digest as a reader gets it, in the terminal, as a page or as a mail."""

import os
import sys
import tempfile
import webbrowser
from email import message_from_bytes, policy
from pathlib import Path

import click

from mailer.cli.common import parse_address, say, with_app
from mailer.cli.looking import digest_id_argument, known_language
from mailer.digests import compose, editions, previews, reading
from mailer.languages import SOURCE, name_in
from mailer.letters.lint import Kind, Mail
from mailer.models import Digest
from mailer.subscriptions import people

OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
HEADERS = ("From", "To", "Subject", "Date", "List-Id", "List-Unsubscribe")


@click.command()
@digest_id_argument
@click.option("--language", metavar="L", help="Default: the list's first, or the subscriber's with --as.")
@click.option("--as", "email", metavar="EMAIL", help="As this subscriber gets it; its links are nobody's.")
@click.option("--html", type=OUT, metavar="FILE", help="Write the HTML part there.")
@click.option("--eml", type=OUT, metavar="FILE", help="Write the whole mail there, byte for byte.")
@click.option("--open", "wants_open", is_flag=True, help="Open the HTML part in a browser.")
@with_app
def preview(
    digest_id: int,
    language: str | None,
    email: str | None,
    html: Path | None,
    eml: Path | None,
    *,
    wants_open: bool,
) -> None:
    """Show a digest in the terminal, or write its HTML or the whole mail to a file.

    Once it was approved, it is shown as it was frozen. The links to leave by are real and change nothing.

    \b
    Example:  mailer digest preview 1 --language fr --open
    """
    digest = compose.find(digest_id)
    mail = mail_for(digest, language, email)
    if wants_open and not html:
        html = kept_apart(digest_id)
    if html:
        html.write_text(mail.html.replace("\r\n", "\n"), encoding="utf-8")
        say(f"wrote {html}")
    if eml:
        eml.write_bytes(mail.raw)
        say(f"wrote {eml}")
    if wants_open and html:
        webbrowser.open(html.absolute().as_uri())
    if not (html or eml):
        show(digest, mail)
    previews.note(digest, mail.header("Content-Language"))


def kept_apart(digest_id: int) -> Path:
    """A file for a browser, which reads it after this process has ended: the machine removes it with its other
    temporary files."""
    handle, name = tempfile.mkstemp(prefix=f"digest-{digest_id}-", suffix=".html")
    os.close(handle)
    return Path(name)


def mail_for(digest: Digest, language: str | None, email: str | None) -> Mail:
    """The mail as a subscriber gets it, or nobody in particular; with tokens of nobody in either case."""
    code = known_language(language)
    if not email:
        rendered = editions.current(digest, code)
        return Mail(editions.copy_for(rendered, editions.sample(digest, rendered)), Kind.DIGEST)
    address = parse_address(email)
    rendered = reading.letter_for(digest, people.find(address).subscriber, code if language else None)
    return Mail(editions.copy_for(rendered, editions.sample(digest, rendered, address.email)), Kind.DIGEST)


def show(digest: Digest, mail: Mail) -> None:
    """What an inbox shows, the headers, the text, and how it stands with sizes and languages."""
    parsed = message_from_bytes(mail.raw, policy=policy.default)
    headers = {name: str(parsed[name]) for name in HEADERS}
    text = mail.plain.replace("\r\n", "\n")
    sizes = f"{len(mail.raw) / 1000:.1f} kB, of which {len(mail.html.encode()) / 1000:.1f} kB are HTML"
    notes = [sizes, *languages(digest, mail.header("Content-Language"))]
    if sys.stdout.isatty():
        show_on_terminal(headers, mail.page.preheader, text, notes)
        return
    for name, value in headers.items():
        say(f"{name}: {value}")
    say(f"Behind the subject: {mail.page.preheader or '(nothing)'}")
    say(f"\n{text}")
    for note in notes:
        say(note)


def show_on_terminal(headers: dict[str, str], preheader: str, text: str, notes: list[str]) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    sender = headers["From"].partition("<")[0].strip() or headers["From"]
    inbox = Text.assemble((sender, "bold"), "\n", (headers["Subject"], "bold"), "\n", (preheader, "dim"))
    console.print(Panel(inbox, title="in an inbox", title_align="left"))
    table = Table.grid(padding=(0, 1))
    for name, value in headers.items():
        table.add_row(Text(name, "cyan"), Text(value, overflow="fold"))
    console.print(table)
    console.rule()
    console.print(Text(text), soft_wrap=True)
    console.rule()
    for note in notes:
        console.print(Text(note, "dim"))


def languages(digest: Digest, code: str) -> list[str]:
    """Which languages it goes out in, and what stands in another one for want of a translation."""
    by_language = {each: editions.items(digest, each) for each in editions.languages()}
    lacking = {each: [item for item in items if item.is_fallback] for each, items in by_language.items()}
    counts = [
        each + (f" ({len(lacking[each])} of {len(items)} not translated)" if lacking[each] else "")
        for each, items in by_language.items()
    ]
    missing = [f"in {name_in(item.language.code, SOURCE)}: {item.title}" for item in lacking[code]]
    return [f"languages: {', '.join(counts)}", *missing]
