"""The list as a table, such that importing it loses nothing: who is pending or has left stays so."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any

from sqlalchemy import select

from mailer.addresses import Address
from mailer.db import db
from mailer.models import ConsentEvent, Subscriber, Subscription
from mailer.states import ConsentKind
from mailer.subscriptions import people
from mailer.subscriptions.importing import COLUMNS, Row
from mailer.subscriptions.people import Which
from mailer.subscriptions.tables import TableWriter

AGREEMENTS = (ConsentKind.ASKED, ConsentKind.CONFIRMED, ConsentKind.IMPORTED)


def export(file: IO[str], which: Which) -> int:
    """Write everybody whose address is known, as they come from the database; how many."""
    table = TableWriter(file)
    table.write(COLUMNS)
    count = 0
    for row in rows(which):
        table.write(cells(row))
        count += 1
    return count


def rows(which: Which) -> Iterator[Row]:
    for batch in people.batches(which):
        agreed = agreements([subscription.id for subscription, _ in batch])
        for subscription, subscriber in batch:
            if subscriber.email and subscriber.email_key:
                yield as_row(subscription, subscriber, agreed.get(subscription.id))


def agreements(subscription_ids: Sequence[int]) -> dict[int, ConsentEvent]:
    """The last time that each of them asked or agreed."""
    events = select(ConsentEvent).where(ConsentEvent.subscription_id.in_(subscription_ids))
    events = events.where(ConsentEvent.kind.in_(AGREEMENTS)).order_by(ConsentEvent.id)
    return {event.subscription_id: event for event in db.session.scalars(events)}


def as_row(subscription: Subscription, subscriber: Subscriber, agreed: ConsentEvent | None) -> Row:
    return Row(
        address=Address(str(subscriber.email), str(subscriber.email_key)),
        language=subscriber.language,
        frequency=subscription.frequency,
        topics=tuple(subscription.topics),
        consent_at=agreed.at if agreed else subscription.requested_at,
        source=agreed.source if agreed else "",
        state=subscription.state,
        requested_at=subscription.requested_at,
        confirmed_at=subscription.confirmed_at,
        ended_at=subscription.ended_at,
        ended_reason=subscription.ended_reason,
        not_me_at=subscription.not_me_at,
        paused_until=subscription.paused_until,
    )


def cells(row: Row) -> list[str]:
    """In the order of COLUMNS."""
    return [
        row.address.email,
        row.state,
        row.language,
        row.frequency,
        " ".join(row.topics),
        written(row.requested_at),
        written(row.confirmed_at),
        written(row.ended_at),
        row.ended_reason or "",
        written(row.not_me_at),
        written(row.paused_until),
        written(row.consent_at),
        row.source,
    ]


def write_record(file: IO[str], record: Mapping[str, Any]) -> None:
    """All that is held about one person as a table: each line a value, with the part of the record that it stands in,
    its number there, and its name."""
    table = TableWriter(file)
    table.write(("part", "number", "name", "value"))
    for name, value in record.items():
        entries = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
        for number, entry in enumerate(entries, 1):
            for key, each in entry.items():
                table.write((name, str(number), key, plain(each)))
        if not entries:
            table.write(("subscription", "", name, plain(value)))


def plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}: {plain(each)}" for name, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def written(at: datetime | None) -> str:
    return at.isoformat() if at else ""
