"""Sending a digest: freeze its words, enlist everyone it goes to, deliver, and say what became of each.

Every step may be run again: a digest that was interrupted goes on where it stopped.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from functools import partial

from flask import current_app
from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, exclusive, now, take_turns, transaction
from mailer.delivery import account, engine, ledger, recovery
from mailer.delivery.account import ReportLine, Tally
from mailer.delivery.engine import Budget, Watch
from mailer.delivery.envelope import Parcel
from mailer.delivery.outcomes import Outcome
from mailer.delivery.session import Session as SmtpSession
from mailer.digests import compose, editions, preflight, selections, snapshot, windows
from mailer.digests.compose import lock
from mailer.digests.editions import Rendered
from mailer.digests.selections import Pair
from mailer.errors import BadInput, Busy, MailerError, NotAllowed
from mailer.localtime import local
from mailer.models import Digest, Edition, EditionItem
from mailer.states import DigestState

STARTABLE = (DigestState.DRAFT, DigestState.APPROVED)
STALE = timedelta(days=1)
ENLISTING = "enlisting"
POLL_SECONDS = 1.0  # between looks for letters that waited for their turn at a provider


@dataclass(frozen=True)
class Status:
    """A digest's account: enlisted is the sum of all states."""

    digest: int
    state: DigestState
    tally: Tally
    next_at: datetime | None
    rate: float | None  # letters a second over the last ten, while a sender is at it

    @property
    def eta_seconds(self) -> int | None:
        """How long until everybody was tried, at this rate."""
        return round((self.tally.queued + self.tally.sending) / self.rate) if self.rate else None

    def as_json(self) -> dict[str, object]:
        counts = {"enlisted": self.tally.enlisted, **asdict(self.tally)}
        rate = None if self.rate is None else round(self.rate, 1)
        return {
            "digest": self.digest,
            "state": self.state.value,
            **counts,
            "rate": rate,
            "eta_seconds": self.eta_seconds,
        }


def status(digest_id: int) -> Status:
    digest = compose.find(digest_id)
    next_at = account.next_due(digest.id)
    return Status(digest.id, digest.state, account.tally(digest.id), next_at, account.rate(digest.id))


@dataclass(frozen=True)
class Forecast:
    """Whom a digest would go to: how many in which language, and how many different letters there would be."""

    languages: Mapping[str, int]
    editions: int

    @property
    def count(self) -> int:
        return sum(self.languages.values())


def forecast(digest: Digest) -> Forecast:
    """If it were enlisted now."""
    found = selections.tally(db.session(), digest)
    languages = Counter[str]()
    for pair, count in sorted(found.items()):
        languages[pair.language] += count
    return Forecast(dict(languages), len(found))


def audience(digest: Digest) -> int:
    """How many people the digest would go to if it were enlisted now."""
    return selections.count(db.session(), digest)


def check_startable(digest: Digest) -> None:
    """Raises NotAllowed with the command that helps."""
    if digest.state is DigestState.PAUSED:
        raise NotAllowed(f"digest {digest.id} is paused: run 'mailer digest resume {digest.id}' first")
    if digest.state is DigestState.CANCELLED:
        raise NotAllowed(f"digest {digest.id} was cancelled: compose a new one")


def approve(digest_id: int, codes: Collection[str] | None = None, *, forced: bool = False) -> dict[str, Rendered]:
    """Freeze a draft: from here on its words are those of its snapshot, whatever happens to the announcements.

    Gives the letters in these languages (every one if none are given), each checked, unless it was approved before.
    Raises BadInput with the reasons for a digest that must not go out, unless it is forced; it stays a draft.
    """
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.DRAFT:
            return {}
        digest.move(DigestState.APPROVED)
        digest.approved_at = now()
        snapshot.freeze(digest)
        rendered = editions.render_all(digest, codes)
        letters = list(rendered.values())
        if any(item.catches_up for item in digest.items):  # who is owed most gets the longest letter
            everything = selections.ids(digest, selections.everything(digest))
            letters += editions.render_all(digest, codes, everything).values()
        if not forced:
            preflight.refuse(digest, letters)
        return rendered


def schedule(digest_id: int, at: datetime, *, forced: bool = False) -> Digest:
    """Approve the digest to be sent at `at` by `run-due` or `serve`. Raises as `approve` does."""
    approve(digest_id, forced=forced)
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.APPROVED:
            raise NotAllowed(f"digest {digest_id} is {digest.state} and can't be scheduled")
        digest.scheduled_at = at
    return digest


def enlist(digest_id: int, ready: Mapping[str, Rendered]) -> int:
    """Write down everyone the digest goes to, once and for all, each with the edition they get. `ready`: letters that
    are rendered already, by language. Raises BadInput if there is nobody; an automatic digest is cancelled then: nobody
    has to look at it.
    """
    prepare(digest_id, ready)
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.APPROVED:
            return account.tally_of(session, digest_id).enlisted
        take_turns(session, ENLISTING)  # two digests that hold the same announcement must know of each other
        digest.published_at = now()
        drop_outdated(session, digest)
        count = enlist_all(session, digest)
        if not count and not windows.leave_empty(session, digest):
            raise nobody(digest_id)
        digest.published_at = digest.published_at if count else None
        digest.move(DigestState.SENDING if count else DigestState.CANCELLED)
    return count


def drop_outdated(session: Session, digest: Digest) -> None:
    """Letters that were rendered before midnight, or by a run that died, name another day than the archive will."""
    day = local(editions.goes_out(digest)).date()
    outdated = [each.id for each in digest.editions if local(each.created_at).date() != day]
    session.execute(delete(EditionItem).where(EditionItem.edition_id.in_(outdated)))
    session.execute(delete(Edition).where(Edition.id.in_(outdated)))
    session.expire(digest, ["editions"])


def prepare(digest_id: int, ready: Mapping[str, Rendered]) -> None:
    """Render and store the editions that are in use, before everybody is enlisted: rendering hundreds of them takes
    longer than others should have to wait for the database."""
    digest = compose.find(digest_id)
    if digest.state is DigestState.APPROVED:
        for edition in new_editions(digest, selections.in_use(db.session(), digest), ready):
            with transaction() as session:
                if lock(session, digest_id).state is DigestState.APPROVED:
                    session.add(edition)


def new_editions(digest: Digest, pairs: Iterable[Pair], ready: Mapping[str, Rendered]) -> Iterator[Edition]:
    """Those that are not stored yet."""
    whole = selections.about(digest)
    stored = {(each.language, each.selection) for each in digest.editions if each.revision == digest.revision}
    for language, selection in pairs:
        if (language, selection) in stored:
            continue
        held = selections.ids(digest, selection)
        # A digest that was corrected in between has other words than those it was approved with.
        rendered = ready.get(language) if selection == whole and digest.revision == 1 else None
        yield editions.stored(
            digest, rendered or editions.render_edition(digest, language, selection=held), selection, held
        )


def enlist_all(session: Session, digest: Digest) -> int:
    """In the caller's transaction; how many."""
    with editions_of(session, digest, selections.people(session, digest)):
        count = ledger.enlist(session, digest, now())
    windows.served(session, digest)
    return count


@contextmanager
def editions_of(session: Session, digest: Digest, people: Select[int, str, int]) -> Iterator[None]:
    """Write these people down, and render what is missing of their editions."""
    with ledger.enlisted(session, people):
        used = session.execute(select(ledger.enlisting.c.language, ledger.enlisting.c.selection).distinct())
        session.add_all(new_editions(digest, [Pair(*row) for row in used], {}))
        session.flush()
        yield


def nobody(digest_id: int) -> BadInput:
    return BadInput(
        f"nobody would get digest {digest_id}: no confirmed subscriber matches, or all of them have had its "
        "announcements ('mailer digest compose --again' makes a reminder); nothing was sent"
    )


def set_rate(digest_id: int, rate: int) -> None:
    """Letters a second for this digest, instead of the setting's; 0: no limit. A sender at work notices at once."""
    with transaction() as session:
        lock(session, digest_id).rate = rate


def send(
    digest_id: int,
    *,
    stop: threading.Event,
    watch: Watch = lambda _: None,
    forced: bool = False,
    limit: int | None = None,
) -> Status:
    """Freeze, enlist and deliver, or go on with what is left. `forced`: whatever preflight says. `limit`: how many
    letters to try, after which the digest is paused.

    Raises Busy if another process is sending it, MailServerError if the server stays in trouble: nothing is lost.
    """
    begin(digest_id, forced=forced)
    budget = Budget(limit, partial(pause_what_is_left, digest_id)) if limit else None
    deliver(digest_id, stop=stop, watch=watch, budget=budget)
    while compose.find(digest_id).state is DigestState.SENDING and account.holds_back(digest_id):
        if stop.wait(POLL_SECONDS):
            break
        deliver(digest_id, stop=stop, watch=watch, budget=budget)
    return status(digest_id)


def begin(digest_id: int, *, forced: bool = False) -> None:
    """Freeze and enlist, unless that was done. Raises as `approve` and `enlist` do."""
    digest = compose.find(digest_id)
    check_startable(digest)
    if digest.state in STARTABLE:
        used = {pair.language for pair in selections.in_use(db.session(), digest)}
        if digest.state is DigestState.DRAFT and not used:
            raise nobody(digest_id)  # before its words are frozen
        enlist(digest_id, approve(digest_id, used, forced=forced))


def deliver(
    digest_id: int,
    *,
    seat: int = 0,
    stop: threading.Event,
    watch: Watch = lambda _: None,
    budget: Budget | None = None,
) -> None:
    """Deliver what is due of a digest that is being sent. Raises as `send` does."""
    if compose.find(digest_id).state is DigestState.SENDING:
        sessions = settings().send_sessions
        engine.deliver(digest_id, seat=seat, sessions=sessions, stop=stop, watch=watch, budget=budget)
        finish(digest_id)


def finish(digest_id: int) -> None:
    """A digest with nothing left to try is sent; letters of unknown fate are held, not tried.

    What came back from the couriers after a cancellation is cancelled too.
    """
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is DigestState.CANCELLED:
            ledger.cancel_open(session, digest_id)
        if digest.state is DigestState.SENDING and not account.is_open(session, digest):
            digest.move(DigestState.SENT)
            digest.sent_at = now()


def send_due(stop: threading.Event, work: Callable[[int], None] | None = None) -> list[int]:
    """Send what is due: digests whose time has come, and letters whose second try has. The digests worked on.

    `work`: who delivers a digest that has begun; we do, if nobody is given.
    """
    work = work or partial(deliver, stop=stop)
    worked = []
    trouble: MailerError | None = None
    query = select(Digest).where(Digest.state.in_((DigestState.APPROVED, DigestState.SENDING)))
    for digest in db.session.scalars(query.order_by(Digest.id)).all():
        if stop.is_set() or not has_work(digest):
            continue
        try:
            begin(digest.id)
            work(digest.id)
        except (Busy, NotAllowed):
            continue  # a `digest send` is at it, or somebody paused or cancelled it
        except MailerError as error:
            trouble = error
            continue
        worked.append(digest.id)
    if trouble:
        raise trouble
    return worked


def has_work(digest: Digest) -> bool:
    """Whether its time has come, or that of a letter; or nothing keeps it open but that nobody has closed it."""
    if digest.state is DigestState.APPROVED:
        return digest.scheduled_at is not None and digest.scheduled_at <= now() and not is_stale(digest)
    return account.is_due(digest.id) or not account.is_open(db.session(), digest)


def is_stale(digest: Digest) -> bool:
    """Whether its time passed so long ago that a person has to say whether it still goes out."""
    at = digest.scheduled_at
    return digest.state in STARTABLE and at is not None and at < now() - STALE


def stale() -> list[Digest]:
    """Digests that wait for a person because their time passed while nothing ran, or because they could not go out."""
    query = select(Digest).where(Digest.state.in_(STARTABLE), Digest.scheduled_at.is_not(None))
    found = db.session.scalars(query.order_by(Digest.id)).all()
    return [each for each in found if is_stale(each) or each.state is DigestState.DRAFT]


def dated() -> list[Digest]:
    """Digests that were given a time which has not come, the next one first."""
    query = select(Digest).where(Digest.state == DigestState.APPROVED, Digest.scheduled_at.is_not(None))
    found = db.session.scalars(query.order_by(Digest.scheduled_at, Digest.id)).all()
    return [each for each in found if not is_stale(each)]


def pause(digest_id: int) -> None:
    """Raises NotAllowed for a digest that is not being sent."""
    with transaction() as session:
        lock(session, digest_id).move(DigestState.PAUSED)


def pause_what_is_left(digest_id: int) -> None:
    """Unless nothing is left of it, or somebody stopped it meanwhile."""
    if account.tally(digest_id).open:
        with suppress(NotAllowed):
            pause(digest_id)


def resume(digest_id: int) -> None:
    """Raises NotAllowed for a digest that is not paused."""
    with transaction() as session:
        digest = lock(session, digest_id)
        if digest.state is not DigestState.PAUSED:
            raise NotAllowed(f"digest {digest_id} is {digest.state}, not paused: there is nothing to resume")
        digest.move(DigestState.SENDING)


def cancel(digest_id: int) -> None:
    """Nothing more goes out; what arrived stays on record."""
    with transaction() as session:
        digest = lock(session, digest_id)
        digest.move(DigestState.CANCELLED)
        ledger.cancel_open(session, digest_id)
        windows.given_up(session, digest)
    with suppress(Busy), exclusive(engine.scope(digest_id)):  # a sender that is at it ends by itself, see `finish`
        recovery.recover(digest_id)
        finish(digest_id)


def report(digest_id: int) -> Iterator[ReportLine]:
    """What became of every recipient's letter."""
    compose.find(digest_id)
    return account.report(digest_id)


def send_test(digest_id: int, to: Sequence[Address], code: str) -> list[tuple[Address, Outcome]]:
    """One marked copy to each address, outside the ledger; what became of each."""
    digest = compose.find(digest_id)
    rendered = editions.render_edition(digest, code, test=True)
    sender = parseaddr(settings().sender)[1]
    session = SmtpSession(current_app.extensions["mail"], settings())
    outcomes = []
    try:
        for address in to:
            copy = editions.copy_for(rendered, editions.sample(digest, rendered, address.email))
            outcomes.append((address, session.deliver(Parcel(address, sender, address.email, copy))))
    finally:
        session.close()
    return outcomes
