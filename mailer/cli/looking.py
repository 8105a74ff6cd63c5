"""`mailer digest preview|test|status|report|list`: seeing a digest, before it goes out and after."""

import sys
import webbrowser
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import click

from mailer import audit
from mailer.cli.common import ID, as_json, as_json_array, parse_address, say, with_app
from mailer.delivery.account import ReportLine
from mailer.digests import compose, editions, sending, snapshot
from mailer.digests.sending import Status
from mailer.errors import MailServerError
from mailer.models import Digest
from mailer.states import DeliveryState
from mailer.subscriptions import people
from mailer.subscriptions.tables import TableWriter

digest_id_argument = click.argument("digest_id", type=ID, metavar="ID")
json_option = click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
REPORT = ("email", "state", "attempts", "time", "reply")
TROUBLES = (DeliveryState.DEFERRED, DeliveryState.BOUNCED, DeliveryState.BLOCKED, DeliveryState.UNKNOWN)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)


def subject(digest: Digest) -> str:
    """A digest's name in lists: its title, else its first announcement's."""
    return digest.title or snapshot.announcements(digest)[0].translations[0].title


def known_language(given: str | None) -> str:
    languages = editions.languages()
    if given and given not in languages:
        raise click.BadParameter(f"{given!r} is not one of {', '.join(languages)}", param_hint="--language")
    return given or languages[0]


@click.command()
@digest_id_argument
@click.option("--language", metavar="L", help="Default: the list's first, or the subscriber's with --as.")
@click.option("--as", "email", metavar="EMAIL", help="As this subscriber gets it.")
@click.option("--html", type=OUT, metavar="FILE", help="Write the HTML part there.")
@click.option("--eml", type=OUT, metavar="FILE", help="Write the whole mail there.")
@click.option("--open", "wants_open", is_flag=True, help="Open the HTML part in a browser (with --html).")
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

    \b
    Example:  mailer digest preview 1 --language fr --html preview.html --open
    """
    if wants_open and not html:
        raise click.UsageError("--open needs --html FILE")
    digest = compose.find(digest_id)
    copy = copy_for(digest, language, email)
    if html:
        html.write_text(part(copy, "html"), encoding="utf-8")
        say(f"wrote {html}")
    if eml:
        eml.write_bytes(copy)
        say(f"wrote {eml}")
    if wants_open and html:
        webbrowser.open(html.absolute().as_uri())
    if not (html or eml):
        show(copy)


def copy_for(digest: Digest, language: str | None, email: str | None) -> bytes:
    """The mail as a subscriber gets it, or as nobody in particular."""
    if not email:
        rendered = editions.render_edition(digest, known_language(language))
        return editions.copy_for(rendered, editions.sample(digest, rendered))
    address = parse_address(email)
    subscriber = people.find(address).subscriber
    own = subscriber.language if subscriber.language in editions.languages() else None
    rendered = editions.render_edition(digest, known_language(language or own))
    sample = editions.sample(digest, rendered, subscriber.email or address.email)
    return editions.copy_for(rendered, sample._replace(uid=subscriber.uid))


def part(copy: bytes, kind: str) -> str:
    """The `plain` or the `html` part of a mail, with the line ends of this system."""
    found = message_from_bytes(copy, policy=policy.default).get_body((kind,))
    return str(found.get_content()).replace("\r\n", "\n") if found else ""


def show(copy: bytes) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    message = message_from_bytes(copy, policy=policy.default)
    console = Console(highlight=False)
    headers = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject"))
    console.print(Panel(Text(headers), title=f"{len(copy) / 1000:.1f} kB", title_align="right"))
    console.print(Text(part(copy, "plain")), soft_wrap=True)


@click.command()
@digest_id_argument
@click.option("--to", "to", multiple=True, required=True, metavar="ADDRESS", help="Any address; repeat for more.")
@click.option("--language", metavar="L", help="Default: the list's first.")
@with_app
def test(digest_id: int, to: tuple[str, ...], language: str | None) -> None:
    """Send one copy, its subject marked [TEST], to each address. The digest stays a draft.

    \b
    Example:  mailer digest test 1 --to me@example.org --to you@example.org
    """
    recipients = [parse_address(each) for each in to]
    audit.note_now("digest test", f"digest {digest_id} to {len(recipients)}")
    outcomes = sending.send_test(digest_id, recipients, known_language(language))
    for address, outcome in outcomes:
        say(f"{address}  {outcome.reply}")
    refused = [address.email for address, outcome in outcomes if outcome.state is not DeliveryState.ACCEPTED]
    if refused:
        raise MailServerError(f"the mail server did not take the copy to {', '.join(refused)}; its reply says why")


def describe(status: Status) -> str:
    tally = status.tally
    counts = ", ".join(f"{getattr(tally, state)} {state}" for state in DeliveryState if getattr(tally, state))
    account = f"digest {status.digest} {status.state}: {tally.enlisted} enlisted" + (f" = {counts}" if counts else "")
    return account + (f"; {pace(status.rate, status.eta_seconds)}" if status.rate else "")


def pace(rate: float, eta_seconds: int | None) -> str:
    left = "" if eta_seconds is None else f", {timedelta(seconds=eta_seconds)} left"
    return f"{rate:,.0f} a second{left}" if rate >= 10 else f"{rate:.1f} a second{left}"


@click.command()
@digest_id_argument
@json_option
@with_app
def status(digest_id: int, *, wants_json: bool) -> None:
    """Say what became of a digest: its state and the account of its letters.

    \b
    Example:  mailer digest status 1 --json
    """
    found = sending.status(digest_id)
    if wants_json:
        as_json(found.as_json())
    else:
        say(describe(found))


@click.command()
@digest_id_argument
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@click.option("--csv", "wants_csv", is_flag=True, help="Print CSV with a header line.")
@with_app
def report(digest_id: int, *, wants_json: bool, wants_csv: bool) -> None:
    """A line per recipient: state, attempts, time, the server's reply.

    \b
    Example:  mailer digest report 1 --csv > report.csv
    """
    lines = map(report_line, sending.report(digest_id))
    if wants_json:
        as_json_array(lines)
    elif wants_csv:
        table = TableWriter(sys.stdout)
        table.write(REPORT)
        for line in lines:
            table.write(str(value if value is not None else "") for value in line.values())
    else:
        for line in lines:
            say("  ".join(str(value if value is not None else "-") for value in line.values()))


def report_line(line: ReportLine) -> dict[str, Any]:
    at = line.settled_at and line.settled_at.isoformat(timespec="seconds")
    return dict(zip(REPORT, (line.email or "(erased)", line.state.value, line.attempts, at, line.reply), strict=True))


@click.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List the digests, the newest first.

    \b
    Example:  mailer digest list
    """
    found = [(each, subject(each)) for each in compose.every()]
    if wants_json:
        as_json([{"digest": each.id, "state": each.state, "title": title} for each, title in found])
        return
    waiting = {each.id for each in sending.stale()}
    for each, title in found:
        note = f"  waits for you: 'mailer digest send {each.id}'" if each.id in waiting else ""
        say(f"{each.id:>4}  {each.state:<9}  {compose.local(each.created_at):%Y-%m-%d}  {title}{note}")
