"""The loop that moves letters: claim, commit, send, settle, commit, until nothing is due.

One run at a time in each scope (a digest, or the outbox of single letters), held by a lock that dies with
its process; so whatever a run finds in state `sending` at its start belongs to nobody alive.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parseaddr

from flask import current_app

from mailer.config import settings
from mailer.db import exclusive, now
from mailer.delivery import account, ledger
from mailer.delivery.ledger import Letter, Settlement
from mailer.delivery.outcomes import GIVE_UP_AFTER, Outcome, backoff
from mailer.delivery.pace import Pace
from mailer.delivery.session import ServerRefuses, Session
from mailer.errors import DatabaseError, MailServerError
from mailer.letters.edition import Template
from mailer.links import Links, links
from mailer.states import DeliveryState, LetterKind

SHARE = 10  # letters that a session gets at a time: what a crash can leave in doubt, and what a commit covers
STALE_SECONDS = 5  # a claimed letter not begun by then is claimed anew, so that who left meanwhile gets none
PATIENCE = (
    0.5,
    1.0,
    2.0,
)  # seconds between tries at a server in trouble; then the run stops, and loses nothing
SETTLE_PATIENCE = (0.0, 1.0, 5.0)


@dataclass
class Report:
    """What one session did with its share."""

    settlements: list[Settlement] = field(default_factory=list)
    untouched: list[int] = field(default_factory=list)
    trouble: MailServerError | None = None


class Courier:
    """Carries letters over one session. Runs in a thread: no database, no Flask context."""

    def __init__(self, session: Session, links: Links, pace: Pace, stop: threading.Event) -> None:
        self.session, self.links, self.pace, self.stop = session, links, pace, stop
        self.chance = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def carry(self, letters: Sequence[Letter], templates: dict[int, Template]) -> Report:
        """Deliver what can be delivered; the rest comes back untouched."""
        report, begun = Report(), time.monotonic()
        for number, letter in enumerate(letters):
            self.pace.wait(self.stop)
            if self.stop.is_set() or time.monotonic() - begun > STALE_SECONDS:
                report.untouched = [each.id for each in letters[number:]]
                break
            try:
                outcome = self.deliver(letter, templates[letter.edition_id])
            except MailServerError as trouble:
                report.trouble = trouble
                report.untouched = [each.id for each in letters[number:]]
                break
            report.settlements.append(self.settlement(letter, outcome))
        return report

    def deliver(self, letter: Letter, template: Template) -> Outcome:
        config = self.session.config
        sender = config.sender if letter.kind is LetterKind.DIGEST else config.account_sender
        try:
            message = template.splice(letter.recipient, self.links)
        except ValueError as error:
            return Outcome(DeliveryState.BLOCKED, f"not sent, it can't be made: {error}"[:500])
        return self.session.deliver(parseaddr(sender)[1], letter.recipient.email, message)

    def settlement(self, letter: Letter, outcome: Outcome) -> Settlement:
        if outcome.state is not DeliveryState.DEFERRED:
            return Settlement(letter.id, outcome)
        next_at = now() + backoff(letter.attempts + 1, self.chance)
        if letter.first_tried_at and next_at > letter.first_tried_at + GIVE_UP_AFTER:
            reply = f"gave up after {letter.attempts + 1} attempts: {outcome.reply}"
            return Settlement(letter.id, Outcome(DeliveryState.BOUNCED, reply))
        return Settlement(letter.id, outcome, next_at)


class Run:
    """One pass over a scope's due letters by a few couriers side by side."""

    def __init__(
        self,
        digest_id: int | None,
        sessions: int,
        stop: threading.Event,
        progress: Callable[[], None],
        still_held: Callable[[], bool],
    ) -> None:
        config, mail = settings(), current_app.extensions["mail"]
        pace = Pace(config.send_rate)
        self.digest_id, self.stop, self.progress, self.still_held = digest_id, stop, progress, still_held
        self.couriers = [Courier(Session(mail, config), links(), pace, stop) for _ in range(sessions)]
        self.batch = SHARE * sessions
        if config.send_rate:  # what is claimed must go out before it is stale
            self.batch = min(self.batch, max(1, config.send_rate * STALE_SECONDS // 2))
        self.templates: dict[int, Template] = {}
        self.failures = 0

    def work(self) -> None:
        """Raises MailServerError when the server stays in trouble or refuses us, DatabaseError when settling fails."""
        with ThreadPoolExecutor(len(self.couriers)) as pool, self.closing():
            while not self.stop.is_set():
                if not self.still_held():
                    raise DatabaseError(
                        "the database ended our connection, and another sender may have begun; run it again"
                    )
                letters = ledger.claim(self.digest_id, self.batch)
                if not letters:
                    return
                jobs = self.send(pool, letters)
                self.settle([job.result() for job in jobs if not job.exception()])
                for job in jobs:
                    job.result()  # a bug in one courier shows itself after the others' outcomes are safe
                self.progress()

    def send(self, pool: ThreadPoolExecutor, letters: list[Letter]) -> list[Future[Report]]:
        """Share the letters out evenly and wait for all."""
        for letter in letters:
            if letter.edition_id not in self.templates:
                self.templates[letter.edition_id] = Template(account.contents(letter.edition_id))
        shares = [letters[first :: len(self.couriers)] for first in range(len(self.couriers))]
        jobs = [
            pool.submit(courier.carry, share, self.templates)
            for courier, share in zip(self.couriers, shares, strict=True)
            if share
        ]
        wait(jobs)
        return jobs

    def settle(self, reports: list[Report]) -> None:
        """Write down every outcome first; then face the trouble."""
        settlements = [each for report in reports for each in report.settlements]
        untouched = [each for report in reports for each in report.untouched]
        persist(settlements, untouched)
        troubles = [report.trouble for report in reports if report.trouble]
        for trouble in troubles:
            if isinstance(trouble, ServerRefuses):
                raise trouble
        if settlements:
            self.failures = 0
        if troubles:
            self.back_off(troubles[0])

    def back_off(self, trouble: MailServerError) -> None:
        if self.failures >= len(PATIENCE):
            raise trouble
        self.stop.wait(PATIENCE[self.failures])
        self.failures += 1

    @contextmanager
    def closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            for courier in self.couriers:
                courier.session.close()


def persist(settlements: list[Settlement], untouched: list[int]) -> None:
    """Settle and release, with patience: an outcome that can't be written down would be in doubt for ever."""
    for number, pause in enumerate(SETTLE_PATIENCE, start=1):
        time.sleep(pause)
        try:
            ledger.settle(settlements)
            ledger.release(untouched)
            return
        except DatabaseError as error:
            if number == len(SETTLE_PATIENCE):
                raise DatabaseError(
                    f"{error}; the outcomes of {len(settlements)} letters could not be written down: "
                    "they are held as unknown at the next start, the rest stays queued"
                ) from error


def scope(digest_id: int | None) -> str:
    """The name of the lock that a run holds."""
    return "outbox" if digest_id is None else f"digest-{digest_id}"


def deliver(
    digest_id: int | None,
    *,
    sessions: int = 1,
    stop: threading.Event | None = None,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Deliver what is due of a digest, or of the outbox (None). Raises Busy if another process is at it."""
    with exclusive(scope(digest_id)) as still_held:
        ledger.abandon(digest_id)
        run = Run(digest_id, sessions, stop or threading.Event(), progress, still_held)
        run.work()
        # A letter that one person waits for is worth a second copy; of a digest nobody wants two.
        resend = digest_id is None or settings().on_unknown == "resend"
        if resend and ledger.resend_unknown(digest_id):
            run.work()
