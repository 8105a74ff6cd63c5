"""Windows: the stretches of time whose announcements make one automatic digest (ADR 16)."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import now
from mailer.digests import owing
from mailer.models import Digest, Window


def served(session: Session, digest: Digest) -> None:
    """Everybody was enlisted to whom an automatic digest goes, in the caller's transaction. The moment is taken after
    that: who left the frequency before it, and was not enlisted, is owed what it brought."""
    window = given_up(session, digest)
    if window:
        owing.settle(session, digest)


def given_up(session: Session, digest: Digest) -> Window | None:
    """Nobody else will be enlisted. Gives the digest's window, if it has one."""
    window = session.scalar(select(Window).filter_by(digest_id=digest.id))
    if window and window.done_at is None:
        window.done_at = now()
    return window
