"""Windows over random histories, on a real database: nobody gets anything twice or misses anything (D-180, D-182).

The model knows nothing of windows: it remembers who was there when something was added, and who ever paused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.db import Base, db, now, transaction
from mailer.digests import schedule, sending, windows
from mailer.models import (
    Announcement,
    AnnouncementTranslation,
    Delivery,
    Digest,
    EditionItem,
    Subscriber,
    Subscription,
    Window,
)
from mailer.states import AnnouncementType, DeliveryState, DigestState, Frequency, SubscriptionState

from ..installation import Installation

STARTS = (
    "2026-03-20T10:00:00Z",
    "2026-10-16T10:00:00Z",
    "2026-12-28T10:00:00Z",
)  # before the clocks change, or the year
KEPT = ("list", "alembic_version")

hours = st.sampled_from([0.01, 1, 5, 20, 30, 24 * 6, 24 * 8, 24 * 17, 24 * 33])
people = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("pass_time"), hours),
    st.tuples(st.just("run"), st.none()),
    st.tuples(st.just("publish"), st.none()),
    st.tuples(st.just("publish_late"), hours),
    st.tuples(st.just("join"), st.sampled_from(Frequency)),
    st.tuples(st.just("change"), st.tuples(people, st.sampled_from(Frequency))),
    st.tuples(st.just("pause"), people),
    st.tuples(st.just("send_what_waits"), st.none()),
    st.tuples(st.just("run_in_two_steps"), st.tuples(people, st.sampled_from(Frequency))),
)


@dataclass
class History:
    """What happens, done to the product, and what the model remembers of it."""

    clock: time_machine.Traveller
    joined: dict[int, datetime] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)
    added: dict[int, datetime] = field(default_factory=dict)

    def pass_time(self, hours: float) -> None:
        self.clock.shift(timedelta(hours=hours))

    def publish(self, _: None = None) -> None:
        self.add(now())

    def publish_late(self, hours: float) -> None:
        """It was being written for long: windows were closed meanwhile."""
        self.add(now() - timedelta(hours=min(hours, 30)))

    def add(self, at: datetime) -> None:
        number = len(self.added) + 1
        text = AnnouncementTranslation(language="en", title=f"News {number}", summary="", body=f"News {number}.")
        new = Announcement(list_id=1, key=f"n{number}", type=AnnouncementType.NEWS, date=at.date(), topics=[])
        new.translations, new.created_at = [text], at
        with transaction() as session:
            session.add(new)
        self.added[new.id] = at

    def join(self, frequency: Frequency) -> None:
        if len(self.joined) == 4:
            return
        address = f"person{len(self.joined)}@example.org"
        with transaction() as session:
            person = Subscriber(email=address, email_key=address, language="en")
            state = SubscriptionState.CONFIRMED
            session.add(
                Subscription(list_id=1, subscriber=person, state=state, frequency=frequency, confirmed_at=now())
            )
        self.joined[person.id] = now()

    def subscription(self, number: int) -> Subscription | None:
        ids = list(self.joined)
        query = sa.select(Subscription).filter_by(subscriber_id=ids[number]) if number < len(ids) else None
        return db.session.scalar(query.execution_options(populate_existing=True)) if query is not None else None

    def change(self, what: tuple[int, Frequency]) -> None:
        number, frequency = what
        with transaction():
            if found := self.subscription(number):
                found.choose_frequency(frequency, now())

    def pause(self, number: int) -> None:
        with transaction():
            if found := self.subscription(number):
                found.paused_until = now() + timedelta(days=9)
                self.paused.add(found.subscriber_id)

    def run(self, _: None = None) -> None:
        schedule.run()
        self.send([each for each in approved() if sending.has_work(each)])

    def run_in_two_steps(self, what: tuple[int, Frequency]) -> None:
        """Somebody changes their mind while a digest is about to go out."""
        schedule.run()
        self.change(what)
        self.run()

    def send_what_waits(self, _: None = None) -> None:
        self.send(sending.stale())

    def send(self, digests: list[Digest]) -> None:
        """All of it arrives."""
        for digest in digests:
            sending.enlist(digest.id, sending.approve(digest.id))
            with transaction() as session:
                accepted = {"state": DeliveryState.ACCEPTED, "attempts": 1}
                session.execute(sa.update(Delivery).filter_by(digest_id=digest.id).values(accepted))
                sent = sa.update(Digest).filter_by(id=digest.id, state=DigestState.SENDING)
                session.execute(sent.values(state=DigestState.SENT))

    def settle(self) -> None:
        """Time enough passes for everything to have gone out."""
        for days in (1, 7, 7, 7, 7, 7, 2):
            self.pass_time(24 * days)
            self.run()
            self.send_what_waits()

    def check(self) -> None:
        query = sa.select(Delivery.subscriber_id, EditionItem.announcement_id)
        got = db.session.execute(query.join(EditionItem, EditionItem.edition_id == Delivery.edition_id)).all()
        had = [tuple(row) for row in got]
        assert len(had) == len(set(had)), "something came twice"
        owed = {
            (person, news)
            for person, since in self.joined.items()
            for news, at in self.added.items()
            if person not in self.paused and at >= since
        }
        assert owed <= set(had), f"never came: {owed - set(had)}"


def approved() -> list[Digest]:
    query = sa.select(Digest).filter_by(state=DigestState.APPROVED).order_by(Digest.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def empty() -> None:
    db.session.remove()
    with transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in KEPT:
                session.execute(table.delete())
    db.session.remove()


@pytest.fixture
def english(here: Installation) -> Iterator[None]:
    here.configure(LANGUAGES="en", TIMEZONE="Europe/Paris")
    with here.app.app_context():
        yield
        db.session.remove()


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(STARTS), st.lists(steps, min_size=4, max_size=25))
def test_whatever_happens_everything_comes_once(start: str, what: list[tuple[str, object]]) -> None:
    """D-180, D-182: late runs, runs on the days of the clocks' changes, changes of frequency in mid-window."""
    empty()
    with time_machine.travel(start, tick=False) as clock:
        history = History(clock)
        schedule.turn_on(Frequency.IMMEDIATE, None)
        schedule.turn_on(Frequency.WEEKLY, "Sun 02:30")
        schedule.turn_on(Frequency.MONTHLY, "31 08:30")
        history.join(Frequency.MONTHLY)
        for name, value in what:
            getattr(history, name)(value)
        history.settle()
        history.check()
        check_contiguous()


def check_contiguous() -> None:
    """D-180: half-open windows without a gap or an overlap."""
    for frequency in Frequency:
        query = sa.select(Window).filter_by(frequency=frequency).order_by(Window.begins_at)
        found = list(db.session.scalars(query))
        assert found[0].begins_at == windows.BEGINNING
        for one, following in pairwise(found):
            assert one.ends_at == following.begins_at


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_more_than_one_digest_can_bring_comes_with_the_next() -> None:
    """D-182"""
    with time_machine.travel(STARTS[0], tick=False) as clock:
        history = History(clock)
        schedule.turn_on(Frequency.WEEKLY, "Sun 02:30")
        schedule.turn_on(Frequency.MONTHLY, "31 08:30")
        history.join(Frequency.MONTHLY)
        history.join(Frequency.WEEKLY)
        for _ in range(windows.MOST_OWED + 5):
            history.publish()
        history.pass_time(24 * 2)
        history.run()
        history.change((0, Frequency.WEEKLY))
        history.pass_time(24 * 7)
        history.run()
        assert len(received(1)) == windows.MOST_OWED
        history.settle()
        history.check()


def received(person: int) -> list[int]:
    query = sa.select(EditionItem.announcement_id).join(Delivery, Delivery.edition_id == EditionItem.edition_id)
    return list(db.session.scalars(query.where(Delivery.subscriber_id == person)))


@pytest.mark.usefixtures("english")
def test_a_window_can_be_closed_once() -> None:
    """D-180: whoever comes second is refused by the database itself."""
    at = datetime(2026, 3, 28, 7, 30, tzinfo=UTC)
    twice = [
        Window(list_id=1, frequency=Frequency.WEEKLY, begins_at=at, ends_at=at + timedelta(days=each))
        for each in (7, 8)
    ]
    db.session.add_all(twice)
    with pytest.raises(sa.exc.IntegrityError):
        db.session.flush()
    db.session.rollback()
