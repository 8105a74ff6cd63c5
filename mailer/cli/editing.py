"""`mailer digest order|add|drop|archive|correct`: changing a digest, as a draft and after."""

from pathlib import Path

import click

from mailer import audit
from mailer.cli.common import ID, say, with_app
from mailer.cli.looking import digest_id_argument
from mailer.digests import compose, correction, introductions
from mailer.models import Digest
from mailer.states import DigestState

intro_option = click.option(
    "--intro",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A Markdown file before the announcements; one per language.",
)
announcement_ids = click.argument("announcement_ids", nargs=-1, required=True, type=ID, metavar="ANNOUNCEMENT_ID…")


@click.command()
@digest_id_argument
@announcement_ids
@with_app
def order(digest_id: int, announcement_ids: tuple[int, ...]) -> None:
    """Put these announcements first, in this order; the others follow as they stood. Only of a draft.

    \b
    Example:  mailer digest order 1 4 2
    """
    show_items(compose.order(digest_id, announcement_ids))


@click.command()
@digest_id_argument
@announcement_ids
@with_app
def add(digest_id: int, announcement_ids: tuple[int, ...]) -> None:
    """Put more announcements at the end of a draft.

    \b
    Example:  mailer digest add 1 5
    """
    show_items(compose.add(digest_id, announcement_ids))


@click.command()
@digest_id_argument
@announcement_ids
@with_app
def drop(digest_id: int, announcement_ids: tuple[int, ...]) -> None:
    """Take announcements out of a draft.

    \b
    Example:  mailer digest drop 1 5
    """
    show_items(compose.drop(digest_id, announcement_ids))


def show_items(digest: Digest) -> None:
    for item in digest.items:
        say(f"  {item.announcement_id}  {item.announcement.translations[0].title}")


@click.command()
@digest_id_argument
@click.option("--on/--off", "wanted", default=None, help="Show it to the public, or keep it out.")
@with_app
def archive(digest_id: int, *, wanted: bool | None) -> None:
    """Keep a digest out of the public archive, or put it back.

    \b
    Example:  mailer digest archive 1 --off
    """
    if wanted is None:
        raise click.UsageError("say which: --on or --off")
    audit.note_now("digest archive", f"digest {digest_id}, {'on' if wanted else 'off'}")
    compose.keep_in_archive(digest_id, wanted=wanted)
    say(f"digest {digest_id} is {'in' if wanted else 'kept out of'} the archive")


@click.command()
@digest_id_argument
@click.option("--note", metavar="TEXT", help="What was wrong, for those who read it in the archive.")
@intro_option
@with_app
def correct(digest_id: int, note: str | None, intro: tuple[Path, ...]) -> None:
    """Take over what was edited in the announcements since the digest was approved, and new introductions.

    Of a digest that was paused on its way, whoever has not been sent it gets the corrected words; whoever has, keeps
    what they got. Edit first, with `announcement edit` or `announcement add`.

    \b
    Example:  mailer digest correct 1 --note "The deadline is 1 March, not 1 May."
    """
    audit.note_now("digest correct", f"digest {digest_id}")
    done = correction.correct(digest_id, note, introductions.read_all(intro))
    say(f"digest {digest_id} has new words, for {done.letters} letters that are still to go out")
    if done.state is DigestState.PAUSED:
        say(f"go on with 'mailer digest resume {digest_id}'")
