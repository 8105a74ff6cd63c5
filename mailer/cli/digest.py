"""`mailer digest …`: composing and sending. Looking at one is in `looking`, `proofs` and `checking`."""

import gc
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from mailer import audit
from mailer.cli import checking, editing, following, looking, proofs, scheduling
from mailer.cli.common import ID, Day, Moment, as_json, say, stop_on_signals, with_app
from mailer.cli.looking import digest_id_argument, json_option
from mailer.config import settings
from mailer.db import now
from mailer.digests import announcements, introductions, previews, sending
from mailer.digests import compose as composing
from mailer.digests.compose import Choice, Wishes
from mailer.errors import BadInput, Interrupted, NotAllowed
from mailer.localtime import local, zone
from mailer.models import Digest
from mailer.states import DigestState, Frequency
from mailer.subscriptions import restoring

FURTHEST = timedelta(days=1000)


@click.group("digest")
def command() -> None:
    """Compose, preview, test and send digests."""


commands = (
    *(proofs.preview, checking.check, looking.test, looking.status, looking.report, looking.list_),
    *(editing.order, editing.add, editing.drop, editing.archive, editing.correct, scheduling.schedule),
)
for each in commands:
    command.add_command(each)


@command.command()
@click.argument("what", nargs=-1, metavar="[ID… | FILE…]")
@click.option("--title", help="Subject line; default: the first announcement's title.")
@editing.intro_option
@click.option("--frequency", type=click.Choice([each.value for each in Frequency]), help="Only for those who chose it.")
@click.option("--since", type=Day(), metavar="DATE", help="All announcements from this date on.")
@click.option("--again", is_flag=True, help="Also for those who got these announcements before: a reminder.")
@click.option("--no-archive", is_flag=True, help="Keep it out of the public archive.")
@json_option
@with_app
def compose(
    what: tuple[str, ...],
    title: str | None,
    intro: tuple[Path, ...],
    frequency: str | None,
    since: date | None,
    *,
    again: bool,
    no_archive: bool,
    wants_json: bool,
) -> None:
    """Make a draft of announcements: these ids or files, all since a date, or all that no digest holds yet.

    An introduction's front matter may say `language: fr` and `title: …`, the digest's title in that language.
    The last line of stdout is the draft's id.

    \b
    Example:  mailer digest compose --title "News of September" 3 1 2
    """
    if what and since:
        raise click.UsageError("name announcements or --since, not both")
    wishes = Wishes(
        title=title,
        introductions=introductions.read_all(intro),
        frequency=Frequency(frequency) if frequency else None,
        again=again,
        in_archive=not no_archive,
    )
    digest = composing.compose(choice(what, since), wishes)
    audit.note_now("digest compose", f"digest {digest.id}")
    if wants_json:
        as_json({"digest": digest.id})
        return
    for item in digest.announcements:
        before = composing.held_before(item, digest)
        note = f"  (already in digest {before.id}, {before.state})" if before else ""
        say(f"  {item.id}  {item.translations[0].title}{note}")
        for lack in announcements.lacking(item):
            say(f"       lacks: {lack}")
    who = f"who chose {digest.frequency}" if digest.frequency else "whatever frequency they chose"
    say(f"a draft for {sending.audience(digest)} confirmed subscribers, {who}")
    say(f"look at it with 'mailer digest preview {digest.id}' and 'mailer digest check {digest.id}'")
    say(f"drop it with 'mailer digest cancel {digest.id}'")
    say(str(digest.id))


def choice(what: Sequence[str], since: date | None) -> Choice:
    ids = [ID(each) for each in what if each.isdecimal()]
    files = [Path(each) for each in what if not each.isdecimal()]
    if missing := [path for path in files if not path.is_file()]:
        raise click.BadParameter(f"{str(missing[0])!r} is neither an announcement's id nor a file")
    return Choice(ids, files, since)


@command.command()
@digest_id_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", type=int, metavar="N", help="Refuse unless it goes to N subscribers (give or take 1 %).")
@click.option("--at", type=Moment(), metavar="TIME", help="Send then: `serve` or `run-due` does it.")
@click.option("--rate", type=click.IntRange(0, 1_000_000), metavar="N", help="Letters a second; 0 = no limit.")
@click.option("--force", is_flag=True, help="Send it although `digest check` finds errors; say why with --reason.")
@click.option("--reason", metavar="TEXT", help="Why it goes out all the same. Stands in the audit log.")
@click.option("--detach", is_flag=True, help="Leave it to the workers, and don't wait (ENGINE celery).")
@json_option
@with_app
def send(
    digest_id: int,
    *,
    yes: bool,
    expect: int | None,
    at: datetime | None,
    rate: int | None,
    force: bool,
    reason: str | None,
    detach: bool,
    wants_json: bool,
) -> None:
    """Freeze the digest, enlist every confirmed subscriber, deliver. Run again, it goes on where it stopped.

    One with errors that `mailer digest check` finds is refused.

    --rate holds for this digest, whatever SEND_RATE says. While another process is sending it, that one changes its
    pace and this command ends.

    Where workers send (ENGINE celery) it hands the digest out and shows how far they are.

    \b
    Example:  mailer digest send 1 --yes --expect 2000 --rate 50
    """
    if force != bool(reason and reason.strip()):
        raise click.UsageError("--force and --reason go together")
    if detach and settings().engine != "celery":
        raise click.UsageError("--detach leaves a digest to workers, and ENGINE is embedded: this command sends it")
    digest = composing.find(digest_id)
    sending.check_startable(digest)
    moment = future(at) if at else None
    restoring.reapply()  # before people are counted
    if digest.state in sending.STARTABLE:
        make_sure(digest, moment, expect, ask_first=not yes, forced=force)
    when = f" at {moment.isoformat()}" if moment else ""
    audit.note_now("digest send", f"digest {digest_id}{when}{checking.in_spite_of(digest, reason)}")
    if rate is not None:
        sending.set_rate(digest_id, rate)
    if moment:
        sending.schedule(digest_id, moment, forced=force)
        words = f"digest {digest_id} goes out at {moment:%Y-%m-%d %H:%M %Z}, by 'mailer serve' or 'mailer run-due'"
        tell(digest_id, words, wants_json=wants_json, at=moment.astimezone(UTC))
        return
    if digest.state is DigestState.SENT and not wants_json:
        say(f"digest {digest_id} was sent before; nothing is sent again")
    gc.freeze()  # what is loaded by now stays: the collector need not look through it again and again
    if detach:
        following.hand_out(digest_id, forced=force)
        words = f"workers send digest {digest_id}; look with 'mailer digest status {digest_id}'"
        tell(digest_id, words, wants_json=wants_json)
        return
    with stop_on_signals() as stop:
        status = following.send(digest_id, stop, forced=force)
    following.conclude(status, interrupted=stop.is_set(), wants_json=wants_json)


def tell(digest_id: int, words: str, *, wants_json: bool, **more: object) -> None:
    """What was begun, in words or as the digest's status."""
    if wants_json:
        as_json({**sending.status(digest_id).as_json(), **more})
    else:
        say(words)


def make_sure(digest: Digest, at: datetime | None, expect: int | None, *, ask_first: bool, forced: bool) -> None:
    """Raises NotAllowed if it goes to others than expected, Interrupted unless somebody agrees."""
    count = sending.audience(digest)
    check_audience(count, expect, digest.id)
    if ask_first:
        checking.warn(digest, at, forced=forced)
        ask(question(digest, count, at))


def check_audience(count: int, expect: int | None, digest_id: int) -> None:
    if expect is not None and abs(count - expect) > expect // 100:
        raise NotAllowed(f"digest {digest_id} would go to {count} subscribers, not {expect}; nothing was sent")


def question(digest: Digest, count: int, at: datetime | None) -> str:
    """Everything that can't be taken back, in one sentence."""
    when = f" at {at:%Y-%m-%d %H:%M %Z}" if at else ""
    return (
        f"Send digest {digest.id}, {looking.subject(digest)!r} ({previews.told(digest)}), from {settings().sender} "
        f"with links to {settings().base_url}{when}, to {count} confirmed subscribers?"
    )


def ask(text: str) -> None:
    try:
        agreed = click.confirm(text, err=True)
    except (click.Abort, RuntimeError):  # no answer, or nobody there to give one
        agreed = False
        click.echo(err=True)
    if not agreed:
        raise Interrupted("nothing was sent")


def future(at: datetime) -> datetime:
    """A time in the list's time zone. Raises BadInput if it is past."""
    # By way of UTC: a time that the clocks leave out is shown as the one it stands for.
    moment = local((at if at.tzinfo else at.replace(tzinfo=zone())).astimezone(UTC))
    if not now() < moment < now() + FURTHEST:
        raise BadInput(f"{moment:%Y-%m-%d %H:%M} is past, or years away; leave --at out to send now")
    return moment


@command.command()
@digest_id_argument
@with_app
def pause(digest_id: int) -> None:
    """Stop a digest that is being sent, from any terminal; what is on the wire finishes.

    \b
    Example:  mailer digest pause 1
    """
    audit.note_now("digest pause", f"digest {digest_id}")
    sending.pause(digest_id)
    say(f"digest {digest_id} is paused; go on with 'mailer digest resume {digest_id}'")


@command.command()
@digest_id_argument
@with_app
def resume(digest_id: int) -> None:
    """Let a paused digest go on.

    \b
    Example:  mailer digest resume 1
    """
    audit.note_now("digest resume", f"digest {digest_id}")
    sending.resume(digest_id)
    say(f"digest {digest_id} may go on: 'mailer digest send {digest_id}', or let 'mailer serve' do it")


@command.command()
@digest_id_argument
@with_app
def cancel(digest_id: int) -> None:
    """Send nothing more of a digest. What arrived stays on record.

    \b
    Example:  mailer digest cancel 1
    """
    audit.note_now("digest cancel", f"digest {digest_id}")
    sending.cancel(digest_id)
    say(looking.describe(sending.status(digest_id)))


@command.command()
@digest_id_argument
@click.option("--failed", "which", flag_value="failed", help="Those that bounced or were blocked.")
@click.option("--unknown", "which", flag_value="unknown", help="Those whose fate nobody knows.")
@with_app
def retry(digest_id: int, which: str | None) -> None:
    """Queue letters again. Those of unknown fate go out as they were, so that receivers can drop a second copy; those
    that failed as they would be now: corrected, and without what another digest has brought since.

    \b
    Example:  mailer digest retry 1 --unknown
    """
    if which is None:
        raise click.UsageError("say which: --failed or --unknown")
    audit.note_now("digest retry", f"digest {digest_id}, {which}")
    count = sending.retry(digest_id, which)
    say(f"{count} letters are queued again" + (f": 'mailer digest send {digest_id}'" if count else ""))
