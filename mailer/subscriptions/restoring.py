"""After a backup was restored: those whom it takes for subscribed, and who left or were erased since it was made, go
again before anything is sent."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import chores
from mailer.config import settings
from mailer.db import db, scrub, take_turns, transaction
from mailer.models import Chore, Subscriber
from mailer.states import EndedReason, SubscriptionState
from mailer.subscriptions.departures import SUFFIX, Departure
from mailer.subscriptions.erasing import erase
from mailer.subscriptions.lookup import FORGETTING

log = logging.getLogger(__name__)

BY = "a restored backup"  # in the audit log


def files() -> list[Path]:
    return sorted(Path(settings().journal_folder).glob(f"*{SUFFIX}"))


def reapply() -> int:
    """Let those go again whom the database takes for subscribed; how many. To be called before anything is sent.

    In everyday life it reads what was appended since the last time, and finds all of it done.
    """
    return sum(reapply_file(path) for path in files() if path.stat().st_size != known(path))


def known(path: Path) -> int:
    """How many octets of the file were applied to this database."""
    return db.session.scalar(select(Chore.cursor).filter_by(name=chore(path))) or 0


def chore(path: Path) -> str:
    return path.name[-50:]


def reapply_file(path: Path) -> int:
    size, begin = path.stat().st_size, known(path)
    with path.open(encoding="utf-8") as file:
        file.seek(begin if begin < size else 0)
        last = dict(parse(file))
    with transaction() as session:
        take_turns(session, FORGETTING)
        gone = [
            uid for uid, (at, what) in last.items() if what is not Departure.RESUMED and let_go(session, uid, at, what)
        ]
        chores.note(session, chore(path), size)
    if gone:
        log.warning("%d people who had left were subscribed again, by a restored backup: they have left", len(gone))
        scrub()
    return len(gone)


def parse(lines: Iterable[str]) -> Iterator[tuple[str, tuple[datetime, Departure]]]:
    """The last word on a uid counts. What is no such line, cut off by a full disk for one, is passed over."""
    for line in lines:
        try:
            at, what, uid = line.split()
            yield uid, (datetime.fromisoformat(at), Departure(what))
        except ValueError:
            continue


def let_go(session: Session, uid: str, at: datetime, what: Departure) -> bool:
    """Whether somebody had to be: who came back after leaving stays."""
    subscriber = session.scalar(select(Subscriber).filter_by(uid=uid).with_for_update())
    if subscriber is None:
        return False
    if what is Departure.ERASED:
        erase(session, subscriber, by=BY, never_again=False)
        return True
    there = [each for each in subscriber.subscriptions if each.state is not SubscriptionState.ENDED]
    stale = [each for each in there if (each.confirmed_at or each.requested_at) < at]
    for subscription in stale:
        subscription.end(EndedReason.UNSUBSCRIBED, at)
    return bool(stale)
