"""`mailer digest …`: composing, and what is done with a digest under way. Sending it is in `dispatching`, looking at it
in `looking`, `proofs` and `checking`."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click

from mailer import audit
from mailer.cli import checking, dispatching, editing, looking, proofs, scheduling
from mailer.cli.common import ID, Day, Domain, Moment, as_json, in_our_zone, say, with_app
from mailer.cli.looking import digest_id_argument, json_option
from mailer.digests import announcements, introductions, retrying, sending
from mailer.digests import compose as composing
from mailer.digests.compose import Choice, Wishes
from mailer.digests.retrying import Narrower
from mailer.states import Frequency


@click.group("digest")
def command() -> None:
    """Compose, preview, test and send digests."""


commands = (
    *(proofs.preview, checking.check, looking.test, looking.status, looking.report, looking.list_),
    *(
        dispatching.send,
        editing.order,
        editing.add,
        editing.drop,
        editing.archive,
        editing.correct,
        scheduling.schedule,
    ),
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
@click.option("--domain", type=Domain(), metavar="D", help="Only those to addresses of this domain.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only those whose fate was last written down since then.")
@with_app
def retry(digest_id: int, which: str | None, domain: str | None, since: datetime | None) -> None:
    """Queue letters again. Those of unknown fate go out as they were, so that receivers can drop a second copy; those
    that failed as they would be now: corrected, and without what another digest has brought since.

    After a provider has refused living addresses for a while, --domain and --since name just those.

    \b
    Example:  mailer digest retry 1 --failed --domain example.org --since 2026-01-31T09:30
    """
    if which is None:
        raise click.UsageError("say which: --failed or --unknown")
    narrower = Narrower(domain, since and in_our_zone(since))
    audit.note_now("digest retry", f"digest {digest_id}, {which}{narrower}")
    count = retrying.retry(digest_id, which, narrower)
    say(f"{count} letters are queued again" + (f": 'mailer digest send {digest_id}'" if count else ""))
