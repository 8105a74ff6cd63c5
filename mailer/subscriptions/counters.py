"""How often something was done lately: counters in the database, so that all processes share them.

A count belongs to a key and to a slice of time, named by its end: so a limit holds in every period that ends now, and
not only by the clock's hour. What the limits are for, and what follows, is in `throttle`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, delete, exists, func, select
from sqlalchemy.orm import Session

from mailer.config import Config, settings
from mailer.db import db, insert_into, insert_new, now, transaction
from mailer.links import Purpose, links
from mailer.models import Throttle
from mailer.parsing import Limit

HOUR = 3600


class Kind(StrEnum):
    ADDRESS = "address"
    CLIENT = "client"
    NETWORK = "network"
    DOMAIN = "domain"
    ALL = "all"
    CONFIRMED = "confirmed"
    LEFT_OUT = "left-out"
    WAITED = "waited"
    LINK_CLIENT = "link-client"
    LINK_NETWORK = "link-network"
    ONCE = "once"


# Seconds. An address may have few letters, so each is counted at its own moment.
SLICES = {Kind.ADDRESS: 0, Kind.CLIENT: 5, Kind.LINK_CLIENT: 5}
SLICE = 60
KEY_LENGTH = 24  # characters of 6 bits


def limits_of(kind: Kind, config: Config) -> tuple[Limit, ...]:
    return {
        Kind.ADDRESS: config.limit_address,
        Kind.CLIENT: config.limit_client,
        Kind.NETWORK: config.limit_network,
        Kind.DOMAIN: config.limit_domain,
        Kind.ALL: config.limit_all,
        Kind.WAITED: config.limit_waiting,
        Kind.LINK_CLIENT: config.limit_client,
        Kind.LINK_NETWORK: config.limit_network,
    }.get(kind, ())


def key_of(kind: Kind, name: str = "") -> str:
    """A key that names nobody to who reads the database: a keyed hash."""
    return f"{kind}-{links().digest(Purpose.THROTTLE, f'{kind}:{name}')[:KEY_LENGTH]}"


@dataclass(frozen=True)
class Counts:
    """How often each of the keys was counted in the periods that end at `at`. `more`: what was counted at that moment
    for all who are looked at together, and is not written down yet."""

    keys: Mapping[Kind, str]
    found: Mapping[str, Mapping[int, int]]
    at: datetime
    more: Counter[tuple[Kind, str]]

    def of(self, kind: Kind, seconds: int = HOUR) -> int:
        key = self.keys[kind]
        return self.found.get(key, {}).get(seconds, 0) + self.more[kind, key]

    def reached(self, kind: Kind, times: float = 1) -> Limit | None:
        """The limit, `times` as high as it is set, that one more would exceed."""
        limits = limits_of(kind, settings())
        return next((each for each in limits if self.of(kind, each.seconds) >= raised(each, times)), None)


def raised(limit: Limit, times: float) -> int:
    return max(1, int(limit.most * times))


def count(session: Session, keys: Mapping[Kind, str], at: datetime) -> Counts:
    return count_all(session, [keys], at, Counter())[0]


def count_all(
    session: Session, several: Sequence[Mapping[Kind, str]], at: datetime, more: Counter[tuple[Kind, str]]
) -> list[Counts]:
    """The counts of several at the same moment, which look at what `more` is counted then."""
    lengths = periods(settings())
    since = {f"since_{seconds}": at - timedelta(seconds=seconds) for seconds in lengths}
    every = list(dict.fromkeys(key for keys in several for key in keys.values()))
    rows = session.connection().execute(sums(lengths), {"keys": every, **since})
    found = {row[0]: dict(zip(lengths, row[1:], strict=True)) for row in rows}
    return [Counts(keys, found, at, more) for keys in several]


@cache
def periods(config: Config) -> tuple[int, ...]:
    """All lengths of time that a limit looks at."""
    return tuple(sorted({HOUR, *(limit.seconds for kind in Kind for limit in limits_of(kind, config))}))


@cache
def sums(lengths: tuple[int, ...]) -> Select[*tuple[Any, ...]]:
    """For each key, how often it was counted within each of the lengths."""

    def within(seconds: int) -> ColumnElement[bool]:
        return Throttle.at > bindparam(f"since_{seconds}", type_=Throttle.at.type)

    columns = [func.sum(case((within(seconds), Throttle.count), else_=0)) for seconds in lengths]
    mine = Throttle.key.in_(bindparam("keys", expanding=True))
    return select(Throttle.key, *columns).where(mine, within(lengths[-1])).group_by(Throttle.key)


def add(session: Session, keys: Iterable[tuple[Kind, str]], at: datetime) -> None:
    """Count one more of each, as often as it is given."""
    rows = []
    for (kind, key), number in Counter(keys).items():
        end = slice_end(at, SLICES.get(kind, SLICE))
        kept = max([HOUR, *(limit.seconds for limit in limits_of(kind, settings()))])
        rows.append({"key": key, "at": end, "count": number, "until": end + timedelta(seconds=kept)})
    if rows:
        connection = session.connection()
        connection.execute(some_more(connection.dialect.name), rows)


@cache
def some_more(dialect: str) -> Any:
    new = insert_into(Throttle, dialect)
    more = Throttle.count + new.excluded["count"]
    return new.on_conflict_do_update(index_elements=["key", "at"], set_={"count": more})


def clear(session: Session, key: str) -> None:
    session.connection().execute(delete(Throttle).where(Throttle.key == key))


def slice_end(at: datetime, seconds: int) -> datetime:
    if not seconds:
        return at
    return datetime.fromtimestamp((at.timestamp() // seconds + 1) * seconds, UTC)


def use_up(session: Session, name: str, until: datetime) -> bool:
    """Whether a thing that is good once, and not after `until`, is used for the first time."""
    key = key_of(Kind.ONCE, name)
    return insert_new(session, Throttle, key=key, at=until, count=1, until=until + timedelta(minutes=1))


def free_in(session: Session, counts: Counts, kind: Kind, limit: Limit, most: int) -> int:
    """Seconds until one more fits into a limit of `most`."""
    key, period = counts.keys[kind], timedelta(seconds=limit.seconds)
    query = select(Throttle.at, Throttle.count).where(Throttle.key == key, Throttle.at > counts.at - period)
    unwritten = (slice_end(counts.at, SLICES.get(kind, SLICE)), counts.more[kind, key])
    newer = 0
    for end, number in [unwritten, *session.execute(query.order_by(Throttle.at.desc()))]:
        newer += number
        if newer >= most:
            return int((end + period - counts.at).total_seconds()) + 1
    return 1


def forget() -> bool:
    """Let go of what no limit looks at any more; whether there was any."""
    old = Throttle.until < now()
    if not db.session.scalar(select(exists().where(old))):
        return False
    with transaction() as session:
        session.execute(delete(Throttle).where(old))
    return True
