"""`mailer digest send`: what has to be sure before a digest goes out, and the sending."""

import gc
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click

from mailer import audit
from mailer.cli import checking, following, looking
from mailer.cli.common import Moment, as_json, in_our_zone, say, stop_on_signals, with_app
from mailer.cli.looking import digest_id_argument, json_option
from mailer.config import settings
from mailer.db import now
from mailer.digests import compose as composing
from mailer.digests import previews, sending
from mailer.errors import BadInput, Interrupted, NotAllowed
from mailer.models import Digest
from mailer.states import DigestState
from mailer.subscriptions import restoring

FURTHEST = timedelta(days=1000)


@click.command()
@digest_id_argument
@click.option("--dry-run", is_flag=True, help="Only say who would get it, and what is wrong with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", type=int, metavar="N", help="Refuse unless it goes to N subscribers (give or take 1 %).")
@click.option("--at", type=Moment(), metavar="TIME", help="Send then: `serve` or `run-due` does it.")
@click.option("--rate", type=click.IntRange(0, 1_000_000), metavar="N", help="Letters a second; 0 = no limit.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Pause it when N letters have been tried.")
@click.option("--force", is_flag=True, help="Send it although `digest check` finds errors; say why with --reason.")
@click.option("--reason", metavar="TEXT", help="Why it goes out all the same. Stands in the audit log.")
@click.option("--detach", is_flag=True, help="Leave it to the workers, and don't wait (ENGINE celery).")
@json_option
@with_app
def send(
    digest_id: int,
    *,
    dry_run: bool,
    yes: bool,
    expect: int | None,
    at: datetime | None,
    rate: int | None,
    limit: int | None,
    force: bool,
    reason: str | None,
    detach: bool,
    wants_json: bool,
) -> None:
    """Freeze the digest, enlist every confirmed subscriber, deliver. Run again, it goes on where it stopped.

    One with errors that `mailer digest check` finds is refused.

    --rate holds for this digest, whatever SEND_RATE says. While another process is sending it, that one changes its
    pace and this command ends.

    --limit is for a first look at what becomes of a few: 'mailer digest resume' lets it go on.

    Where workers send (ENGINE celery) it hands the digest out and shows how far they are.

    \b
    Example:  mailer digest send 1 --yes --expect 2000 --rate 50
    """
    if force != bool(reason and reason.strip()):
        raise click.UsageError("--force and --reason go together")
    check_who_sends(detach=detach, limited=limit is not None, later=at is not None)
    digest = composing.find(digest_id)
    sending.check_startable(digest)
    moment = future(at) if at else None
    restoring.reapply()  # before people are counted
    if dry_run:
        show_audience(digest, expect, moment, forced=force, wants_json=wants_json)
        return
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
        status = following.send(digest_id, stop, forced=force, limit=limit)
    following.conclude(status, interrupted=stop.is_set(), wants_json=wants_json, limited=limit is not None)


def check_who_sends(*, detach: bool, limited: bool, later: bool) -> None:
    """Raises UsageError for what only workers do, or only this command."""
    by_workers = settings().engine == "celery"
    if detach and not by_workers:
        raise click.UsageError("--detach leaves a digest to workers, and ENGINE is embedded: this command sends it")
    if limited and (later or by_workers):
        raise click.UsageError("--limit counts what this command sends: not with --at, nor where workers send")


def tell(digest_id: int, words: str, *, wants_json: bool, **more: object) -> None:
    """What was begun, in words or as the digest's status."""
    if wants_json:
        as_json({**sending.status(digest_id).as_json(), **more})
    else:
        say(words)


def show_audience(digest: Digest, expect: int | None, at: datetime | None, *, forced: bool, wants_json: bool) -> None:
    """What sending it would begin with, as far as that can be known without doing it. Raises as `send` would."""
    if digest.state not in sending.STARTABLE:
        tell(digest.id, f"{looking.describe(sending.status(digest.id))}; nothing was sent", wants_json=wants_json)
        return
    found = sending.forecast(digest)
    if not found.count:
        raise sending.nobody(digest.id)
    check_audience(found.count, expect, digest.id)
    checking.warn(digest, at, forced=forced)
    if wants_json:
        as_json({"digest": digest.id, "state": digest.state, "would_enlist": found.count, **asdict(found)})
        return
    say(would_send(digest, found.count, at))
    for language, count in found.languages.items():
        say(f"  {language:<3}  {count:>9,}")
    letters = "the same letter for everybody" if found.editions == 1 else f"{found.editions:,} different letters"
    say(f"{letters}; nothing was sent")


def make_sure(digest: Digest, at: datetime | None, expect: int | None, *, ask_first: bool, forced: bool) -> None:
    """Raises NotAllowed if it goes to others than expected, Interrupted unless somebody agrees."""
    count = sending.audience(digest)
    check_audience(count, expect, digest.id)
    if ask_first:
        checking.warn(digest, at, forced=forced)
        ask(f"Send {would_send(digest, count, at)}?")


def check_audience(count: int, expect: int | None, digest_id: int) -> None:
    if expect is not None and abs(count - expect) > expect // 100:
        raise NotAllowed(f"digest {digest_id} would go to {count} subscribers, not {expect}; nothing was sent")


def would_send(digest: Digest, count: int, at: datetime | None) -> str:
    """Everything that can't be taken back, in one line."""
    when = f" at {at:%Y-%m-%d %H:%M %Z}" if at else ""
    return (
        f"digest {digest.id}, {looking.subject(digest)!r} ({previews.told(digest)}), from {settings().sender} "
        f"with links to {settings().base_url}{when}, to {count} confirmed subscribers"
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
    moment = in_our_zone(at)
    if not now() < moment < now() + FURTHEST:
        raise BadInput(f"{moment:%Y-%m-%d %H:%M} is past, or years away; leave --at out to send now")
    return moment
