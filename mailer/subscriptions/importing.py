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

from sqlalchemy import and_, select
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
    """Add those who are new; who is pending, confirmed or left stays as they are."""
    keys = [row.address.key for row in batch]
    known = select(Subscriber).where(Subscriber.email_key.in_(keys))
    people = {person.email_key: person for person in session.scalars(known)}
    here = and_(Subscription.subscriber_id == Subscriber.id, Subscription.list_id == list_id)
    on_the_list = select(Subscriber.email_key, Subscription.state).join(Subscription, here)
    states = dict(session.execute(on_the_list.where(Subscriber.email_key.in_(keys))).all())
    for row in batch:
        key = row.address.key
        if key in states:
            left = states[key] is SubscriptionState.ENDED
            report.left += left
            report.known += not left
            continue
        if key not in people:
            people[key] = Subscriber(email=row.address.email, email_key=key, language=row.language)
            session.add(people[key])
        add_subscription(session, list_id, people[key], row)
        states[key] = SubscriptionState.CONFIRMED
        report.added += 1
    session.flush()
    session.expunge_all()


def add_subscription(session: Session, list_id: int, person: Subscriber, row: Row) -> None:
    at = now()
    subscription = Subscription(
        list_id=list_id,
        subscriber=person,
        state=SubscriptionState.CONFIRMED,
        frequency=row.frequency,
        topics=list(row.topics),
        requested_at=row.consent_at,
        confirmed_at=at,
    )
    subscription.consent.append(
        ConsentEvent(
            kind=ConsentKind.IMPORTED,
            at=row.consent_at,
            source=row.source[:500],
            language=row.language,
            wording=row.basis,
        )
    )
    session.add(subscription)
