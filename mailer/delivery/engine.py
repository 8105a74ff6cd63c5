"""A run: it claims letters from the ledger, keeps its courier supplied, and writes down what became of each.

    ledger ──claim──▶ desk ──▶ courier ══SMTP══▶ mail server
      ▲                 │         └──▶ journal
      └─────settle──────┘

A run has a seat in its scope (a digest, or the outbox of single letters), held by a lock that dies with its process.
Where all work is done by one process, each scope has one seat.
All of the database's work is done here, in the run's own thread, a few hundred letters at a time.
"""

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count as moments
from itertools import repeat
from math import ceil
from pathlib import Path

from flask import current_app

from mailer import logs
from mailer.config import settings
from mailer.db import exclusive, now
from mailer.delivery import claims, ledger, outbox, providers, recovery, relay
from mailer.delivery.breaker import Breaker, domain
from mailer.delivery.claims import PUT_OFF, Claim, Handover, Letter, Place, Settlement
from mailer.delivery.courier import Courier
from mailer.delivery.desk import Desk
from mailer.delivery.journal import Journal, identity
from mailer.delivery.meter import Meter
from mailer.delivery.outcomes import Outcome
from mailer.delivery.pace import Pace
from mailer.delivery.packer import Packer
from mailer.delivery.protocol import ServerRefuses
from mailer.delivery.session import Session
from mailer.errors import DatabaseError
from mailer.links import links
from mailer.models import fresh_uid
from mailer.states import DeliveryState

log = logging.getLogger(__name__)

TICK = 0.25  # seconds; a signal, a pause, a departure, a changed rate are noticed so soon
BEAT = 1.0  # seconds between signs of life
SOON = 0.1  # seconds; letters that go out sooner are too few
MOMENT = 0.25  # seconds
MOST_AHEAD = 2000  # letters claimed at once; more would not be faster, only be in doubt if the journal were lost
SETTLE_PATIENCE = (0.0, 1.0, 5.0)
Watch = Callable[[Meter], None]


@dataclass
class Budget:
    """How many letters may still be tried, and what is to be done when none may."""

    left: int
    when_spent: Callable[[], None]


class Run:
    """One pass over a scope's due letters, by a courier with a few sessions."""

    def __init__(
        self,
        digest_id: int | None,
        seat: int,
        sessions: int,
        stop: threading.Event,
        still_held: Callable[[], bool],
        budget: Budget | None = None,
    ) -> None:
        """Raises JournalError if there is no place for its journal, DatabaseError."""
        self.config, self.stop, self.still_held, self.budget = settings(), stop, still_held, budget
        folder, uid = Path(self.config.journal_folder), fresh_uid()
        self.journal = Journal(folder, uid)  # first: a run without a journal is taken for dead
        try:
            self.row = claims.begin_run(digest_id, seat, uid, Place(socket.gethostname(), identity(folder)))
        except DatabaseError:
            self.journal.remove()
            raise
        self.packer = Packer(self.config, links())
        self.desk, self.meter, self.breaker = Desk(Pace(self.config.send_rate)), Meter(), Breaker()
        mail = current_app.extensions["mail"]
        self.sessions = [Session(mail, self.config) for _ in range(sessions)]
        self.courier = Courier(self.sessions, self.desk, self.journal, self.packer.pack)
        self.ahead = 25 * sessions  # letters to keep claimed
        self.claimed_at = -SOON
        self.out = 0  # letters claimed and not yet accounted for
        self.beat_at = time.monotonic()

    def work(self, watch: Watch) -> None:
        """Until nothing is due, or something stops it. Raises MailServerError, JournalError or DatabaseError."""
        logs.RUN.set(self.row.uid)
        self.courier.start()
        try:
            while not self.desk.closed:
                self.round()
                watch(self.meter)
                self.desk.news.wait(TICK)
                self.desk.news.clear()
                if self.stop.is_set():
                    self.desk.close()
        except Exception as error:
            self.desk.close(error)
        finally:
            self.wind_up()
            logs.RUN.set("")
        if self.desk.trouble:
            raise self.desk.trouble
        if told := [each.international for each in self.sessions if each.international is not None]:
            relay.note(international=all(told))

    def beat(self) -> None:
        """Show that we are alive, and see whether we may go on."""
        self.beat_at = time.monotonic()
        sessions = sum(session.is_open for session in self.sessions)
        claims.beat(self.row.id, self.meter.rate(), self.journal.size, sessions)
        if not self.still_held():
            self.desk.close(
                DatabaseError("the database ended our connection, and another sender may have begun; run it again")
            )

    def round(self) -> None:
        """Write down what came back, and claim as much as keeps the courier busy, unless there is little to do."""
        wanted, beat_is_due = self.wanted(), time.monotonic() > self.beat_at + BEAT
        if not (wanted or beat_is_due or self.desk.untouched or self.desk.closed):
            return
        if beat_is_due:
            self.beat()
        settlements, untouched = self.desk.collect()
        overruled = self.weigh(settlements)
        complaints = self.complaints(settlements)
        limits = {each.domain: float(each.most) for each in self.config.provider_rates}
        brought = Handover(settlements, untouched, overruled, complaints, wanted, self.config.send_rate, limits)
        claim = self.persist(brought)
        self.out += len(claim.letters) - len(settlements) - len(untouched)
        self.desk.pace.rate = claim.rate
        self.supply(claim, wanted, in_trouble=bool(untouched))
        if not claim.going_on or (wanted and not claim.found and not self.out):
            self.desk.close()
        elif claim.found and not claim.letters:  # all of them left the list: look further at once
            self.desk.news.set()
        if self.budget:
            self.spend(self.budget, len(claim.letters) - len(untouched))

    def spend(self, budget: Budget, letters: int) -> None:
        budget.left -= letters
        if not (budget.left or self.out or self.desk.closed):
            budget.when_spent()
            self.desk.close()

    def wanted(self) -> int:
        """How many letters to claim: twice as many as before when those went out quickly, and where a rate is set no
        more than go out in a moment: others who keep it have to wait for them."""
        waiting = len(self.desk.letters)
        if waiting > self.desk.low or self.desk.closed:
            return 0
        if time.monotonic() < self.claimed_at + SOON:
            self.ahead *= 2
        moment = ceil(self.desk.pace.rate * MOMENT) or MOST_AHEAD
        self.ahead = min(self.ahead, moment, MOST_AHEAD)
        wanted = max(0, self.ahead - waiting)
        return min(wanted, self.budget.left) if self.budget else wanted

    def supply(self, claim: Claim, wanted: int, *, in_trouble: bool) -> None:
        """Hand claimed letters to the courier, but for those to a provider that refuses everybody."""
        letters = claim.letters
        if wanted:
            self.claimed_at = time.monotonic()
            self.desk.low = self.ahead // 2 if len(letters) == wanted else 0
        if in_trouble:  # letters went stale, or the server sent them back
            self.ahead = max(len(self.courier.lanes), self.ahead // 2)
        self.packer.prepare(letters)
        if held := [letter for letter in letters if self.breaker.is_open(letter.email)] if self.breaker.open else []:
            self.hold(held)
            letters = [letter for letter in letters if not self.breaker.is_open(letter.email)]
        self.desk.fill(letters, moments(claim.begins_in, 1 / claim.rate) if claim.rate else repeat(0.0))

    def hold(self, letters: list[Letter]) -> None:
        said = Outcome(DeliveryState.DEFERRED, "not tried: its provider refuses everybody at present")
        until = now() + PUT_OFF
        self.desk.hand_in([Settlement(letter, said, until, attempts=0) for letter in letters])

    def weigh(self, settlements: list[Settlement]) -> list[int]:
        """Count outcomes; the rows of refusals that turn out to say nothing about their addresses."""
        self.meter.count((each.outcome.state, each.letter.attempts) for each in settlements)
        overruled: list[int] = []
        if self.row.digest_id is None:
            self.tell_waits(settlements)
        if self.breaker.is_calm and all(each.outcome.state is DeliveryState.ACCEPTED for each in settlements):
            return overruled
        for each in settlements:
            rows = self.breaker.count(each.id, each.letter.email, each.outcome)
            if len(rows) > 1:
                log.warning(
                    "%s refuses everybody (%s): its letters wait for an hour, and nobody is counted as bounced",
                    domain(each.letter.email),
                    each.outcome.reply,
                )
            overruled += rows
        if settlements and self.breaker.refuses_all:
            self.desk.close(ServerRefuses(f"the mail server refuses every letter: {settlements[-1].outcome.reply}"))
            overruled += [row for row, _ in self.breaker.streak]
        return overruled

    def complaints(self, settlements: list[Settlement]) -> dict[str, float]:
        """Providers that find us too fast, and how many letters a second they had from this run."""
        complaining = {domain(each.letter.email) for each in settlements if providers.complains(each.outcome)}
        if not complaining:
            return {}
        share = Counter(domain(each.letter.email) for each in settlements)
        return {each: self.meter.tried() * share[each] / len(settlements) for each in complaining}

    def tell_waits(self, settlements: list[Settlement]) -> None:
        """Of letters that somebody waits for: whoever watches wants to know for how long."""
        accepted = [each.letter for each in settlements if each.outcome.state is DeliveryState.ACCEPTED]
        outbox.delivered.send(self, seconds=[(now() - letter.created_at).total_seconds() for letter in accepted])

    def persist(self, brought: Handover) -> Claim:
        """To the ledger, with patience. Raises DatabaseError; what was not written down is in the journal."""
        for pause in SETTLE_PATIENCE:
            try:
                return claims.hand_over(self.row, brought)
            except DatabaseError as error:
                trouble = error
                time.sleep(pause)
        raise DatabaseError(f"{trouble}; {len(brought.settlements)} outcomes wait in the journal to be written down")

    def wind_up(self) -> None:
        """Let the letters on the wire finish, and account for everything. What can't be is left to the journal."""
        self.desk.close()
        writable = True
        while self.courier.is_alive():
            self.desk.clear()
            self.courier.join(TICK)
            writable = writable and self.try_round()
        self.desk.clear()
        if writable and self.try_round() and not self.out:
            self.journal.remove()
            claims.end_run(self.row.id)
        else:
            self.journal.close()

    def try_round(self) -> bool:
        try:
            self.round()
        except DatabaseError as error:
            self.desk.close(error)
            return False
        return True


def scope(digest_id: int | None, seat: int = 0) -> str:
    name = "the-letters" if digest_id is None else f"digest-{digest_id}"
    return f"{name}-seat-{seat}" if seat else name


def deliver(
    digest_id: int | None,
    *,
    seat: int = 0,
    sessions: int = 1,
    stop: threading.Event | None = None,
    watch: Watch = lambda _: None,
    budget: Budget | None = None,
) -> None:
    """Deliver what is due of a digest, or of the outbox (None). Raises Busy if another process is at it.

    `seat`: several may work on one digest side by side, each in a seat of its own. `budget`: if it is not to go on
    until nothing is due.
    """
    stop = stop or threading.Event()
    with exclusive(scope(digest_id, seat)) as still_held:
        recovery.recover(digest_id, seat)
        Run(digest_id, seat, sessions, stop, still_held, budget).work(watch)
        while not stop.is_set() and recovery.recover(digest_id, seat):  # somebody in another seat died meanwhile
            Run(digest_id, seat, sessions, stop, still_held, budget).work(watch)
        # A letter that one person waits for is worth a second copy; of a digest nobody wants two.
        resend = digest_id is None or settings().on_unknown == "resend"
        if resend and not stop.is_set() and ledger.resend_unknown(digest_id):
            Run(digest_id, seat, sessions, stop, still_held, budget).work(watch)
