"""`mailer digest test|status|report|list`: seeing a digest, before it goes out and after."""

import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from mailer import audit
from mailer.cli.common import ID, as_json, as_json_array, parse_address, say, with_app
from mailer.delivery.account import ReportLine
from mailer.digests import compose, editions, previews, sending, snapshot, summary
from mailer.digests.sending import Status
from mailer.digests.summary import Summary
from mailer.errors import MailServerError
from mailer.localtime import local
from mailer.models import Digest
from mailer.states import DeliveryState
from mailer.subscriptions.tables import TableWriter

digest_id_argument = click.argument("digest_id", type=ID, metavar="ID")
json_option = click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
REPORT = ("email", "state", "attempts", "time", "reply")


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
    code = known_language(language)
    outcomes = sending.send_test(digest_id, recipients, code)
    for address, outcome in outcomes:
        say(f"{address}  {outcome.reply}")
    refused = [address.email for address, outcome in outcomes if outcome.state is not DeliveryState.ACCEPTED]
    if refused:
        raise MailServerError(f"the mail server did not take the copy to {', '.join(refused)}; its reply says why")
    previews.note(compose.find(digest_id), code)


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
@click.option("--summary", "in_short", is_flag=True, help="Only numbers, by language and by domain; --json: an object.")
@with_app
def report(digest_id: int, *, wants_json: bool, wants_csv: bool, in_short: bool) -> None:
    """A line per recipient: state, attempts, time, the server's reply. Or, with --summary, how many letters arrived
    and how many people left within three days, by language and by domain.

    \b
    Example:  mailer digest report 1 --csv > report.csv
    """
    if in_short:
        if wants_csv:
            raise click.UsageError("--summary comes as text or as --json")
        show_summary(digest_id, summary.of(digest_id), wants_json=wants_json)
        return
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


def show_summary(digest_id: int, found: Summary, *, wants_json: bool) -> None:
    groups = {"languages": found.languages, "domains": found.domains}
    if wants_json:
        by_group = {name: [{"name": each, **asdict(counts)} for each, counts in of] for name, of in groups.items()}
        until = found.until and found.until.isoformat(timespec="seconds")
        as_json({"digest": digest_id, "until": until, **asdict(found.everybody), **by_group})
        return
    rows = [("everybody", found.everybody)]
    rows += [(name or f"other {kind}", counts) for kind, of in groups.items() for name, counts in of]
    widest = max(len(name) for name, _ in rows)
    say("  ".join([" " * widest, *summary.NAMES]))
    for name, counts in rows:
        numbers = (f"{count:>{len(column)}}" for column, count in asdict(counts).items())
        say("  ".join([f"{name:<{widest}}", *numbers]))
    if found.until:
        say(f"who left is counted until {local(found.until):%Y-%m-%d %H:%M %Z}")


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
        say(f"{each.id:>4}  {each.state:<9}  {local(each.created_at):%Y-%m-%d}  {title}{note}")
