"""Correcting a digest that was approved, or is on its way: whoever has not been sent it gets the corrected words."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailer.db import exclusive, now, transaction
from mailer.delivery import engine, ledger, recovery
from mailer.digests import compose, editions, preflight, selections, snapshot
from mailer.digests.compose import lock
from mailer.digests.files import FORBIDDEN
from mailer.errors import BadInput, NotAllowed
from mailer.models import Digest, Edition, Introduction
from mailer.states import DigestState

CORRECTABLE = (DigestState.APPROVED, DigestState.PAUSED, DigestState.SENT)
ADVICE = {
    DigestState.DRAFT: "is a draft: it follows its announcements by itself",
    DigestState.SENDING: "is being sent: 'mailer digest pause {id}' first",
    DigestState.CANCELLED: "was cancelled: compose a new one",
}
LONGEST_NOTE = 1000


class Corrected(NamedTuple):
    state: DigestState
    letters: int  # that go out with the corrected words


def correct(digest_id: int, note: str | None = None, introductions: Sequence[Introduction] = ()) -> Corrected:
    """Freeze the announcements' words anew, with these introductions for those in the same languages. Letters that may
    have arrived stay as they were, also when they are tried again: nobody gets two different copies. `note` is the
    erratum that the archive shows.

    Raises NotAllowed for a digest that can't be corrected, Busy while a sender still finishes its letters, BadInput if
    there is nothing to correct or a corrected letter must not go out.
    """
    check_note(note)
    check_state(compose.find(digest_id))
    with exclusive(engine.scope(digest_id)):
        recovery.recover(digest_id)  # what a sender that died had begun is of unknown fate, and keeps its words
        with transaction() as session:
            digest = lock(session, digest_id)
            check_state(digest)
            before = digest.sha256
            replace(session, digest, introductions)
            snapshot.freeze(digest)
            if digest.sha256 == before:
                raise BadInput(
                    f"nothing of digest {digest_id} has changed: edit its announcements first, or give a new --intro"
                )
            digest.revision += 1
            if digest.state is not DigestState.APPROVED:  # nobody has seen its first words
                digest.erratum, digest.corrected_at = note, now()
            return Corrected(digest.state, rebind(session, digest))


def replace(session: Session, digest: Digest, introductions: Sequence[Introduction]) -> None:
    languages = {each.language for each in introductions}
    digest.introductions = [each for each in digest.introductions if each.language not in languages]
    session.flush()  # the old one goes before the new one comes
    digest.introductions = [*digest.introductions, *introductions]
    session.flush()


def check_state(digest: Digest) -> None:
    if digest.state not in CORRECTABLE:
        raise NotAllowed(f"digest {digest.id} {ADVICE[digest.state].format(id=digest.id)}")


def check_note(note: str | None) -> None:
    if note is not None and (not note.strip() or len(note) > LONGEST_NOTE or FORBIDDEN.search(note)):
        raise BadInput(f"the note must be text of at most {LONGEST_NOTE} characters without control characters")


def rebind(session: Session, digest: Digest) -> int:
    """Render the editions of letters that are still to go out anew; how many letters."""
    preflight.refuse(digest, editions.render_all(digest).values())
    renewed = {old: corrected(session, digest, old) for old in ledger.editions_waiting(session, digest.id)}
    session.flush()
    if not renewed:
        return 0
    return ledger.rebind(session, digest.id, {old: new.id for old, new in renewed.items()})


def corrected(session: Session, digest: Digest, edition_id: int) -> Edition:
    old = session.get_one(Edition, edition_id)
    selection = old.selection or 0
    held = selections.ids(digest, selection)
    new = editions.stored(digest, editions.render_edition(digest, old.language, selection=held), selection, held)
    session.add(new)
    return new
