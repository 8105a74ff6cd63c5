"""What a change of frequency owes to a person: announcements that the frequency they left would still have brought, and
that the one they chose has sent out already (ADR 16).

The person's row says which frequency they left, and when. Announcements that a digest of that one had brought by then
are settled; the others of the new one's earlier windows are owed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, update
from sqlalchemy.orm import Session, aliased

from mailer import topics
from mailer.db import now
from mailer.delivery import ledger
from mailer.delivery.ledger import NOT_RECEIVED
from mailer.models import (
    Announcement,
    Delivery,
    Digest,
    EditionItem,
    Schedule,
    Subscription,
    Window,
    WindowItem,
)
from mailer.models import subscription_topic as choices
from mailer.states import DigestState, Frequency

# The clocks of two machines, and a change that was being written while a digest was enlisted. Too much of it costs
# nothing: nobody gets what they have had.
MARGIN = timedelta(minutes=1)
ENLISTED = (DigestState.SENDING, DigestState.PAUSED, DigestState.SENT)
# To whom an announcement is owed, by the frequency they left: who left before that moment; None: whenever they did.
Terms = Mapping[Frequency, datetime | None]


def is_owed(terms: Terms) -> ColumnElement[bool]:
    """Whether it is owed to a person, as the database puts it."""
    left = [and_(Subscription.owed_by == by, before(until)) for by, until in terms.items()]
    return or_(false(), *left)


def before(until: datetime | None) -> ColumnElement[bool]:
    return Subscription.owed_since.is_not(None) if until is None else Subscription.owed_since < until


def terms(session: Session, list_id: int, announcements: Sequence[int]) -> dict[int, Terms]:
    """Of each announcement. A frequency that would never have brought it owes it to nobody."""
    at_work = session.scalars(select(Schedule.frequency).filter_by(list_id=list_id)).all()
    query = select(WindowItem, Window).join(Window, Window.id == WindowItem.window_id)
    found = session.execute(query.where(WindowItem.announcement_id.in_(announcements))).all()
    windows = {(item.announcement_id, item.frequency): window for item, window in found}
    return {each: of_windows({by: windows.get((each, by)) for by in at_work}) for each in announcements}


def of_windows(windows: Mapping[Frequency, Window | None]) -> Terms:
    """Of an announcement that lies in these windows."""
    return {by: settled_at(window) for by, window in windows.items() if window is None or not window.passed_over}


def settled_at(window: Window | None) -> datetime | None:
    return window.done_at + MARGIN if window and window.done_at else None


def candidates(session: Session, list_id: int, frequency: Frequency) -> list[int]:
    """Announcements of this frequency's earlier windows that are owed to somebody who has chosen it since, the newest
    first. Those of a digest that waits will come with it; those of one that was cancelled never."""
    since = oldest_debts(session, list_id, frequency)
    if not since:
        return []
    enlisted = or_(Window.digest_id.is_(None), Digest.state.in_(ENLISTED))
    query = (
        select(Announcement)
        .join(WindowItem, WindowItem.announcement_id == Announcement.id)
        .join(Window, Window.id == WindowItem.window_id)
        .outerjoin(Digest, Digest.id == Window.digest_id)
        .where(Window.list_id == list_id, Window.frequency == frequency, enlisted)
    )
    owed = or_(*[unsettled(Announcement.id, by, at) for by, at in since.items()])
    found = session.scalars(query.where(owed).order_by(Announcement.id.desc())).all()
    return [each.id for each in found if is_wanted(session, each, debtors(list_id, frequency))]


def is_wanted(session: Session, announcement: Announcement, people: ColumnElement[bool]) -> bool:
    """Whether one of them has not had it and is interested: else it would take the place of another for ever."""
    had = select(Delivery.id).join(EditionItem, EditionItem.edition_id == Delivery.edition_id)
    had = had.where(
        Delivery.subscriber_id == Subscription.subscriber_id,
        EditionItem.announcement_id == announcement.id,
        Delivery.state.not_in(NOT_RECEIVED),
    )
    query = select(Subscription.id).where(people, ~had.exists())
    if about := [topic.id for topic in topics.of_keys(session, announcement.list_id, announcement.topics)]:
        mine = select(choices.c.topic_id).where(choices.c.subscription_id == Subscription.id)
        query = query.where(or_(~mine.exists(), mine.where(choices.c.topic_id.in_(about)).exists()))
    return session.scalar(query.limit(1)) is not None


def oldest_debts(session: Session, list_id: int, frequency: Frequency) -> dict[Frequency, datetime]:
    """When the first of those left whom the next digest of this frequency will reach, by the frequency they left.
    Those that are scheduled no more owe nothing."""
    query = select(Subscription.owed_by, func.min(Subscription.owed_since)).where(debtors(list_id, frequency))
    found = session.execute(query.group_by(Subscription.owed_by)).all()
    at_work = session.scalars(select(Schedule.frequency).filter_by(list_id=list_id)).all()
    return {by: at for by, at in found if by and at and by in at_work}


def debtors(list_id: int, frequency: Frequency) -> ColumnElement[bool]:
    theirs = and_(Subscription.list_id == list_id, Subscription.frequency == frequency)
    return and_(theirs, Subscription.owed_since.is_not(None), ledger.gets_digests(now()))


def unsettled(announcement: Any, by: Frequency, left_at: datetime) -> ColumnElement[bool]:
    """Whether no window of a frequency had settled an announcement when the first person left it."""
    item, window = aliased(WindowItem), aliased(Window)
    settled = or_(window.passed_over, window.done_at <= left_at - MARGIN)
    query = select(item.window_id).join(window, window.id == item.window_id)
    return ~query.where(item.announcement_id == announcement, item.frequency == by, settled).exists()


def settle(session: Session, digest: Digest) -> None:
    """Nothing is owed any more to those whom an automatic digest reached, unless it could not bring all of it."""
    if digest.frequency is None:
        return
    held = {item.announcement_id for item in digest.items}
    left = [each for each in candidates(session, digest.list_id, digest.frequency) if each not in held]
    still = [is_owed(each) for each in terms(session, digest.list_id, left).values()]
    reached = and_(debtors(digest.list_id, digest.frequency), not_(or_(false(), *still)))
    session.connection().execute(update(Subscription).where(reached).values(owed_since=None, owed_by=None))
