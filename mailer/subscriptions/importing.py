"""An existing list, taken over from a CSV file on the operator's stated basis.

Sends nothing, revives nobody who left, and may be repeated.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import and_, insert, select
from sqlalchemy.orm import Session

from mailer import addresses
from mailer.addresses import Address
from mailer.config import settings
from mailer.db import now, transaction
from mailer.errors import BadAddress, BadInput
from mailer.lists import the_list
from mailer.models import ConsentEvent, Subscriber, Subscription
from mailer.parsing import UNPRINTABLE, is_word
from mailer.states import ConsentKind, Frequency, SubscriptionState
from mailer.subscriptions.suppression import remembered

COLUMNS = ("email", "language", "frequency", "topics", "consent_at", "consent_source")
BATCH = 500


@dataclass(frozen=True)
class Row:
    address: Address
    language: str
    frequency: Frequency
    topics: tuple[str, ...]
    consent_at: datetime
    source: str
    basis: str


@dataclass
class Report:
    """What became of a file's rows; `refused` says why for each line that could not be used."""

    added: int = 0
    known: int = 0
    left: int = 0
    refused: list[str] = field(default_factory=list)


def import_file(path: Path, basis: str, *, dry_run: bool = False) -> Report:
    """Confirm everybody in the file at once on the stated `basis`. Raises BadInput if the file itself can't be used."""
    report = Report()
    list_id = the_list().id
    rows = read_rows(read_csv(path), path, basis, report)
    if dry_run:
        with transaction() as session:
            while batch := list(islice(rows, BATCH)):
                import_batch(session, list_id, batch, report)
            session.rollback()
        return report
    while batch := list(islice(rows, BATCH)):
        with transaction() as session:
            import_batch(session, list_id, batch, report)
    return report


def read_csv(path: Path) -> str:
    """The whole file, so that a bad byte near its end is found before its beginning is imported."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is not UTF-8; save it as CSV in UTF-8") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from None


def read_rows(source: str, path: Path, basis: str, report: Report) -> Iterator[Row]:
    """The file's good rows; a line in the report for each of the others."""
    first, _, _ = source.partition("\n")
    separator = max(",;\t", key=first.count)  # spreadsheets save what their country parts numbers with
    reader = csv.reader(io.StringIO(source, newline=""), delimiter=separator)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        check_columns(path, names)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            try:
                yield parse_row(dict(zip(names, values, strict=False)), basis)
            except BadInput as error:
                report.refused.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV file: {error}") from None


def check_columns(path: Path, names: Sequence[str]) -> None:
    if "email" not in names:
        raise BadInput(f"{path} has no column 'email' in its first line; columns are {', '.join(COLUMNS)}")
    if unknown := [name for name in names if name not in COLUMNS]:
        raise BadInput(f"{path} has an unknown column {unknown[0]!r}; columns are {', '.join(COLUMNS)}")


def parse_row(fields: Mapping[str, str], basis: str) -> Row:
    given = {name: value.strip() for name, value in fields.items()}
    if any(unicodedata.category(character) in UNPRINTABLE for value in given.values() for character in value):
        raise BadInput("it holds a character that can't be shown")
    language = given.get("language") or settings().languages[0]
    if language not in settings().languages:
        raise BadInput(f"language {language!r} is not one of {', '.join(settings().languages)}")
    frequency = given.get("frequency") or Frequency.WEEKLY
    if frequency not in list(Frequency):
        raise BadInput(f"frequency {frequency!r} is not one of {', '.join(Frequency)}")
    try:
        address = addresses.parse(given.get("email", ""))
    except BadAddress as error:
        raise BadInput(f"{given.get('email', '')[:80]!r} is not an address: {error}") from None
    topics = tuple(given.get("topics", "").replace(",", " ").split())
    if bad := [topic for topic in topics if not is_word(topic)]:
        raise BadInput(f"topic {bad[0]!r} is not a word of a-z, 0-9 and hyphens")
    return Row(
        address=address,
        language=language,
        frequency=Frequency(frequency),
        topics=topics,
        consent_at=parse_moment(given.get("consent_at", "")),
        source=given.get("consent_source") or "subscriber import",
        basis=basis,
    )


def parse_moment(text: str) -> datetime:
    if not text:
        return now()
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"consent_at {text!r} is not a date like 2024-05-31") from None
    if at > now():
        raise BadInput(f"consent_at {text!r} is not past")
    return at


def import_batch(session: Session, list_id: int, batch: Sequence[Row], report: Report) -> None:
    """Add those who are new; who is pending, confirmed or left stays as they are. Whole tables at a time, since a list
    may have a million rows."""
    keys = [row.address.key for row in batch]
    here = and_(Subscription.subscriber_id == Subscriber.id, Subscription.list_id == list_id)
    query = select(Subscriber.email_key, Subscriber.id, Subscription.state).outerjoin(Subscription, here)
    found = session.execute(query.where(Subscriber.email_key.in_(keys)))
    known = {str(key): (row_id, state) for key, row_id, state in found}
    states = {key: state for key, (_, state) in known.items() if state}
    suppressed = remembered(session, [row.address for row in batch])
    new: dict[str, Row] = {}
    for row in batch:
        key = row.address.key
        if key in states or key in new or key in suppressed:
            left = states.get(key) is SubscriptionState.ENDED or key in suppressed
            report.left += left
            report.known += not left
        else:
            new[key] = row
    report.added += len(new)
    ids = {key: row_id for key, (row_id, _) in known.items()}
    ids |= add_people(session, [row for key, row in new.items() if key not in ids])
    add_subscriptions(session, list_id, {ids[key]: row for key, row in new.items()})


def add_people(session: Session, rows: Sequence[Row]) -> dict[str, int]:
    """{email key: id} of new subscribers."""
    if not rows:
        return {}
    values = [{"email": row.address.email, "email_key": row.address.key, "language": row.language} for row in rows]
    added = insert(Subscriber).returning(Subscriber.email_key, Subscriber.id)
    return {str(key): row_id for key, row_id in session.connection().execute(added, values)}


def add_subscriptions(session: Session, list_id: int, rows: Mapping[int, Row]) -> None:
    """Confirmed ones, with the evidence. `rows` by the subscriber's id."""
    if not rows:
        return
    at = now()
    values = [
        {
            "list_id": list_id,
            "subscriber_id": subscriber_id,
            "state": SubscriptionState.CONFIRMED,
            "frequency": row.frequency,
            "topics": list(row.topics),
            "requested_at": row.consent_at,
            "confirmed_at": at,
        }
        for subscriber_id, row in rows.items()
    ]
    added = insert(Subscription).returning(Subscription.subscriber_id, Subscription.id)
    evidence = [
        {
            "subscription_id": subscription_id,
            "kind": ConsentKind.IMPORTED,
            "at": rows[subscriber_id].consent_at,
            "source": rows[subscriber_id].source[:500],
            "language": rows[subscriber_id].language,
            "basis": rows[subscriber_id].basis,
            "frequency": rows[subscriber_id].frequency,
            "topics": list(rows[subscriber_id].topics),
        }
        for subscriber_id, subscription_id in session.connection().execute(added, values)
    ]
    session.connection().execute(insert(ConsentEvent), evidence)
