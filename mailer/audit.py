"""The book of what operators did: who exported, sent, changed or erased. Append-only, and it names nobody's address."""

import getpass
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import db, transaction
from mailer.masking import mask_addresses
from mailer.models import AuditEntry

THE_PERSON = "the person"  # who did something to their own data


def operator() -> str:
    """Who is at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that has no name
        return "unknown"


def note(session: Session, who: str, act: str, about: str = "") -> None:
    """Write an act down, in the caller's transaction: it is in the book if, and only if, it happened."""
    session.add(AuditEntry(who=who[:100], act=act, about=mask_addresses(about)))


def note_now(act: str, about: str = "") -> None:
    """Write down what the operator is about to do. What can't be written down is not begun."""
    with transaction() as session:
        note(session, operator(), act, about)


def entries(since: datetime | None = None) -> Iterator[AuditEntry]:
    """The book, the oldest first, without holding all in memory."""
    query = select(AuditEntry).order_by(AuditEntry.id).execution_options(yield_per=500)
    yield from db.session.scalars(query.where(AuditEntry.at >= since) if since else query)


def record(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(timespec="seconds"),
        "who": entry.who,
        "act": entry.act,
        "about": entry.about,
    }
