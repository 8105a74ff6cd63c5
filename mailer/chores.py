"""What is done from time to time: when it was done last, and how far."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import db, insert_new, now
from mailer.models import Chore


def done_at(name: str) -> datetime | None:
    return db.session.scalar(select(Chore.done_at).filter_by(name=name))


def note(session: Session, name: str, cursor: int = 0) -> None:
    """It is done now, in the caller's transaction."""
    insert_new(session, Chore, name=name, done_at=now(), cursor=cursor)
    session.execute(update(Chore).where(Chore.name == name).values(done_at=now(), cursor=cursor))
