"""An existing list, taken over from a file on the operator's stated basis.

Sends nothing, revives nobody who left, changes nobody who is known, and may be repeated.
"""

import sqlite3
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from mailer import addresses, bulk, topics
from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, now, transaction
from mailer.errors import BadAddress, BadInput
from mailer.lists import the_list
from mailer.models import LONGEST_PAUSE, ConsentEvent, Subscriber, Subscription, fresh_uid
from mailer.parsing import UNPRINTABLE, is_word
from mailer.states import ConsentKind, EndedReason, Frequency, SubscriptionState
from mailer.subscriptions.suppression import remembered
from mailer.subscriptions.tables import Table

COLUMNS = (
    "email",
    "state",
    "language",
    "frequency",
    "topics",
    "requested_at",
    "confirmed_at",
    "ended_at",
    "ended_reason",
    "not_me_at",
    "paused_until",
    "consent_at",
    "consent_source",
)
WHY = "refused_because"  # a column of the file of refused rows, which may be mended and imported
# What other programs call them.
ALIASES = {
    "e-mail": "email",
    "mail": "email",
    "e-mail address": "email",
    "email address": "email",
    "email_address": "email",
    "emailaddress": "email",
    "courriel": "email",
    "correo": "email",
    "lang": "language",
    "locale": "language",
    "tags": "topics",
    "source": "consent_source",
}
# Rows in a transaction. On SQLite nobody else can write meanwhile.
BATCHES = {"sqlite": 500, "postgresql": 5000}
SOURCE_LENGTH = 500


@dataclass(frozen=True)
class Row:
    """A person as a file tells of them. Without a state they are confirmed, on the stated basis."""

    address: Address
    language: str
    frequency: Frequency
    topics: tuple[str, ...]
    consent_at: datetime
    source: str
    state: SubscriptionState = SubscriptionState.CONFIRMED
    requested_at: datetime | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_reason: EndedReason | None = None
    not_me_at: datetime | None = None
    paused_until: datetime | None = None


class Refusal(NamedTuple):
    line: int
    reason: str
    cells: Sequence[str]


@dataclass
class Report:
    """What became of a file's rows."""

    added: int = 0
    known: int = 0
    left: int = 0
    refused: int = 0

    @property
    def done(self) -> int:
        return self.added + self.known + self.left + self.refused


def import_table(
    table: Table,
    names: Sequence[str],
    basis: str,
    *,
    dry_run: bool = False,
    refuse: Callable[[Refusal], None] = lambda _: None,
    watch: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Add everybody in the file who is new, on the stated `basis`. `names`: what each column is, see
    `column_names`."""
    report = Report()
    list_id = the_list().id
    rows = read_rows(table, names, report, refuse)
    seen = Seen()
    while batch := list(islice(rows, BATCHES[db.engine.dialect.name])):
        if dry_run:
            rehearse_batch(list_id, batch, seen, report)
        else:
            with transaction() as session:
                add(session, list_id, sort_out(session, list_id, batch, report, Once().add), basis)
        watch(report)
    return report


def column_names(table: Table, *, ignore_unknown: bool) -> list[str]:
    """What each column is; an empty name for one that is left aside. Raises BadInput."""
    given = [name.lower() for name in table.header]
    names = [ALIASES.get(name, name) for name in given]
    known = {*COLUMNS, WHY}
    listed = f"columns are {', '.join(COLUMNS)}"
    if "email" not in names:
        raise BadInput(f"{table.path} has no column 'email' in its first line; {listed}")
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise BadInput(f"{table.path} has a column {twice[0]!r} twice")
    unknown = [name for name in names if name not in known]
    if unknown and not ignore_unknown:
        raise BadInput(
            f"{table.path} has an unknown column {unknown[0]!r}; {listed}. --ignore-unknown leaves others aside"
        )
    return [name if name in COLUMNS else "" for name in names]


def read_rows(table: Table, names: Sequence[str], report: Report, refuse: Callable[[Refusal], None]) -> Iterator[Row]:
    """The file's good rows; each of the others is refused with its reason."""
    languages, at = settings().languages, now()
    for line, cells in table.rows():
        try:
            if any(cell.strip() for cell in cells[len(names) :]):
                raise BadInput("it has more cells than the first line has columns")
            given = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
            yield parse_row(given, languages, at)
        except BadInput as error:
            report.refused += 1
            refuse(Refusal(line, str(error), cells))


def parse_row(given: Mapping[str, str], languages: Sequence[str], at: datetime) -> Row:
    """Raises BadInput with what is wrong with it."""
    if not all(map(can_be_shown, given.values())):
        raise BadInput("it holds a character that can't be shown")
    state = SubscriptionState(choose(given, "state", list(SubscriptionState), SubscriptionState.CONFIRMED))
    consent_at = moment(given, "consent_at", at) or at
    ended = state is SubscriptionState.ENDED
    reason = choose(given, "ended_reason", list(EndedReason), EndedReason.UNSUBSCRIBED) if ended else None
    return Row(
        address=parse_address(given.get("email", "")),
        language=choose(given, "language", languages, languages[0]),
        frequency=Frequency(choose(given, "frequency", list(Frequency), Frequency.WEEKLY)),
        topics=parse_topics(given.get("topics", "")),
        consent_at=consent_at,
        source=(given.get("consent_source") or "subscriber import")[:SOURCE_LENGTH],
        state=state,
        requested_at=moment(given, "requested_at", at) or consent_at,
        confirmed_at=moment(given, "confirmed_at", at) or (at if state is SubscriptionState.CONFIRMED else None),
        ended_at=(moment(given, "ended_at", at) or at) if ended else None,
        ended_reason=EndedReason(reason) if reason else None,
        not_me_at=moment(given, "not_me_at", at) if ended else None,
        paused_until=moment(given, "paused_until", at + LONGEST_PAUSE),
    )


def can_be_shown(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(character) in UNPRINTABLE for character in text)


def choose(given: Mapping[str, str], name: str, among: Collection[str], default: str) -> str:
    value = given.get(name) or default
    if value not in among:
        raise BadInput(f"{name} {value[:80]!r} is not one of {', '.join(among)}")
    return value


def parse_address(given: str) -> Address:
    try:
        return addresses.parse(given, international=True)
    except BadAddress as error:
        raise BadInput(f"{given[:80]!r} is not an address: {error}") from None


def parse_topics(given: str) -> tuple[str, ...]:
    keys = tuple(given.replace(",", " ").split())
    if bad := [topic for topic in keys if not is_word(topic)]:
        raise BadInput(f"topic {bad[0]!r} is not a word of a-z, 0-9 and hyphens")
    return keys


def moment(given: Mapping[str, str], name: str, latest: datetime) -> datetime | None:
    text = given.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{name} {text[:80]!r} is not a date like 2024-05-31") from None
    if at > latest:
        raise BadInput(f"{name} {text[:80]!r} is too late")
    return at


class Once:
    """The addresses of a batch: what is in the batches before is in the database already."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def add(self, key: str) -> bool:
        """Whether it is there for the first time."""
        first = key not in self.keys
        self.keys.add(key)
        return first


class Seen:
    """The addresses of a file that is only tried out, in a temporary file of SQLite's own: they may be a million."""

    def __init__(self) -> None:
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, key: str) -> bool:
        """Whether it is there for the first time."""
        return bool(self.table.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount)


def rehearse_batch(list_id: int, batch: Sequence[Row], seen: Seen, report: Report) -> None:
    """What would become of these rows; without a lock, so that the site goes on meanwhile."""
    sort_out(db.session(), list_id, batch, report, seen.add)
    db.session.rollback()


class People(NamedTuple):
    """Those of a batch to be added: `there` are known on another list, by the subscriber's id."""

    new: list[Row]
    there: dict[int, Row]


def sort_out(
    session: Session, list_id: int, batch: Sequence[Row], report: Report, is_first: Callable[[str], bool]
) -> People:
    """Who is pending, confirmed or left stays as they are. Whole batches at a time: a list may have a million rows."""
    here = and_(Subscription.subscriber_id == Subscriber.id, Subscription.list_id == list_id)
    query = select(Subscriber.email_key, Subscriber.id, Subscription.state).outerjoin(Subscription, here)
    keys = bulk.these(session, [row.address.key for row in batch])
    found = session.connection().execute(query.where(Subscriber.email_key.in_(keys)))
    known = {str(key): (row_id, state) for key, row_id, state in found}
    suppressed = remembered(session, [row.address for row in batch])
    people = People([], {})
    for row in batch:
        row_id, state = known.get(row.address.key, (None, None))
        if state is SubscriptionState.ENDED or (state is None and row.address.key in suppressed):
            report.left += 1
        elif state or not is_first(row.address.key):
            report.known += 1
        else:
            report.added += 1
            if row_id is None:
                people.new.append(row)
            else:
                people.there[row_id] = row
    return people


def add(session: Session, list_id: int, people: People, basis: str) -> None:
    """Subscribers, their subscriptions, what they chose, and the evidence."""
    connection = session.connection()
    new = dict(zip(bulk.fresh_ids(connection, Subscriber, len(people.new)), people.new, strict=True))
    bulk.load(connection, Subscriber, [subscriber(*each) for each in new.items()])
    rows = people.there | new
    ids = bulk.fresh_ids(connection, Subscription, len(rows))
    numbered = [(row_id, subscriber_id, row) for row_id, (subscriber_id, row) in zip(ids, rows.items(), strict=True)]
    bulk.load(connection, Subscription, [subscription(list_id, *each) for each in numbered])
    topics.choose(session, list_id, {row_id: row.topics for row_id, _, row in numbered})
    bulk.load(connection, ConsentEvent, [evidence(row_id, row, basis) for row_id, _, row in numbered])


def subscriber(row_id: int, row: Row) -> dict[str, Any]:
    return {
        "id": row_id,
        "uid": fresh_uid(),
        "email": row.address.email,
        "email_key": row.address.key,
        "language": row.language,
        "created_at": now(),
    }


def subscription(list_id: int, row_id: int, subscriber_id: int, row: Row) -> dict[str, Any]:
    return {
        "id": row_id,
        "list_id": list_id,
        "subscriber_id": subscriber_id,
        "state": row.state,
        "frequency": row.frequency,
        "requested_at": row.requested_at,
        "confirmed_at": row.confirmed_at,
        "ended_at": row.ended_at,
        "ended_reason": row.ended_reason,
        "not_me_at": row.not_me_at,
        "paused_until": row.paused_until,
    }


def evidence(subscription_id: int, row: Row, basis: str) -> dict[str, Any]:
    return {
        "subscription_id": subscription_id,
        "kind": ConsentKind.IMPORTED,
        "at": row.consent_at,
        "source": row.source,
        "language": row.language,
        "basis": basis,
        "frequency": row.frequency,
        "topics": list(row.topics),
    }
