"""A thread that carries letters over a few SMTP sessions at once. It knows no database: it takes letters from the desk,
writes the journal, and hands in what became of each.

One thread drives all sockets: threads of their own would spend more time on waiting for each other than on letters.
Opening a connection takes several exchanges, so helpers do that.
"""

import random
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from mailer.db import now
from mailer.delivery import journal
from mailer.delivery.bell import Bell
from mailer.delivery.claims import Letter, Settlement
from mailer.delivery.desk import Desk
from mailer.delivery.envelope import Parcel
from mailer.delivery.journal import Journal, JournalError
from mailer.delivery.lane import Lane
from mailer.delivery.outcomes import GIVE_UP_AFTER, Outcome, backoff
from mailer.delivery.protocol import Begun, Event, Returned, ServerTrouble, Settled
from mailer.delivery.session import Session
from mailer.errors import MailServerError
from mailer.states import DeliveryState

TICK = 0.5  # seconds; deadlines are looked at so often
IDLE_SECONDS = 30.0  # a connection that is silent for longer gets a NOOP
ANSWERED = (DeliveryState.ACCEPTED, DeliveryState.BOUNCED, DeliveryState.BLOCKED)


class Courier(threading.Thread):
    def __init__(self, sessions: Sequence[Session], desk: Desk, log: Journal, pack: Callable[[Letter], Parcel]) -> None:
        """`pack` makes a letter's parcel; it raises ValueError for one that can't be made."""
        super().__init__(name="courier", daemon=True)
        self.lanes = [Lane(session) for session in sessions]
        self.idle = set(self.lanes)  # nothing is under way there
        self.desk, self.log, self.pack = desk, log, pack
        self.aboard: dict[int, Letter] = {}  # taken from the desk, and not begun
        self.chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self.selector = selectors.DefaultSelector()
        self.looked_at = 0.0  # when deadlines were last looked at
        # What the round has brought so far: lines for the journal, rows that they say were begun, outcomes, and lanes
        # that have something to say then.
        self.lines: list[bytes] = []
        self.begun: list[int] = []
        self.settlements: list[Settlement] = []
        self.touched: list[Lane] = []

    def run(self) -> None:
        """Until the desk is closed, or there is trouble in every lane that waiting does not mend."""
        try:
            with Bell(self.selector) as bell, ThreadPoolExecutor(len(self.lanes)) as helpers:
                self.desk.wake = bell.ring
                while self.goes_on():
                    self.round(bell, helpers)
                for lane in self.lanes:
                    helpers.submit(lane.session.close)
        except Exception as error:  # of the journal, of a server that refuses us, or a bug: nobody may go on
            self.desk.close(error)
        finally:
            self.end()

    def goes_on(self) -> bool:
        if self.desk.closed:
            return any(lane.session.busy or lane.opening for lane in self.lanes)
        if len(self.idle) == len(self.lanes) and all(lane.trouble for lane in self.lanes):
            self.desk.close(self.lanes[0].trouble)
            return False
        return True

    def end(self) -> None:
        """Nothing is lost: what was begun and has no outcome stays with the journal."""
        with suppress(JournalError):
            self.write_down()
        for letter in self.aboard.values():
            self.desk.give_back(letter)
        for lane in self.lanes:
            lane.session.drop()
        self.selector.close()
        self.desk.news.set()

    def round(self, bell: Bell, helpers: ThreadPoolExecutor) -> None:
        """Begin letters where nothing is under way, write down what happened, speak, and listen."""
        for lane in tuple(self.idle):
            self.employ(lane, bell, helpers)
        self.write_down()
        touched, self.touched = self.touched, []
        for lane in touched:
            self.push(lane)
        for key, _ in self.selector.select(self.pause()):
            lane = key.data
            if lane is None:
                bell.hush()
            elif lane.session.output:
                self.touched.append(lane)
            else:
                self.handle(lane, lane.session.pull())
        if time.monotonic() > self.looked_at + TICK:
            self.look_at_deadlines()

    def pause(self) -> float:
        """Seconds until there is something to do that no socket tells."""
        pauses = [0.0 if self.touched else TICK]
        if self.idle and self.desk.letters and not self.desk.closed:
            turn = self.desk.wait()
            pauses += [lane.wait(turn) for lane in self.idle]
        return min(pauses)

    def employ(self, lane: Lane, bell: Bell, helpers: ThreadPoolExecutor) -> None:
        """Give a lane that is idle a letter, or open it if there are letters to come."""
        if lane.opening:
            if not lane.opening.done():
                return
            if trouble := lane.opened():
                self.end_lane(lane, trouble)
                return
            self.selector.register(lane.watch(), selectors.EVENT_READ, lane)
        if lane.session.is_open and not lane.session.spent:
            if letter := self.desk.take():
                self.handle(lane, self.offer(lane, letter))
        elif lane.may_open and self.desk.letters and not self.desk.closed:
            self.forget(lane)
            lane.open(helpers).add_done_callback(bell.ring)

    def offer(self, lane: Lane, letter: Letter) -> list[Event]:
        self.aboard[letter.id] = letter
        try:
            settled = lane.session.offer(self.pack(letter))
        except ValueError as error:
            impossible = Outcome(DeliveryState.BLOCKED, f"not sent, it can't be made: {error}"[:500])
            settled = Settled(Parcel(letter, "", "", b""), impossible)
        return [settled] if settled else []

    def handle(self, lane: Lane, events: list[Event]) -> None:
        """Note what happened in a lane. A server that refuses us closes the desk: what is on the wire may finish."""
        for event in events:
            if isinstance(event, Settled):
                self.settle(lane, event.parcel.key, event.outcome)
            elif isinstance(event, Begun):
                letter = event.parcel.key
                self.lines.append(journal.begun(letter.id))
                self.begun.append(letter.id)
                # The next letter's envelope travels with this one's body.
                if lane.session.joins and (following := self.desk.take()):
                    events += self.offer(lane, following)
            elif isinstance(event, Returned):
                self.take_back(event.parcel.key)
            else:
                self.forget(lane)
                self.end_lane(lane, event.trouble, was_idle=len(events) == 1)
        self.touched.append(lane)
        if lane.session.busy:
            self.idle.discard(lane)
        else:
            self.idle.add(lane)

    def end_lane(self, lane: Lane, trouble: MailServerError, *, was_idle: bool = False) -> None:
        """A connection that ends while nothing is under way is no trouble."""
        if isinstance(trouble, ServerTrouble):
            if not was_idle:
                lane.rest(trouble)
        else:
            self.desk.close(trouble)

    def take_back(self, letter: Letter) -> None:
        if self.aboard.pop(letter.id, None) is None:  # it had been begun
            self.lines.append(journal.returned(letter.id))
        self.desk.give_back(letter)

    def settle(self, lane: Lane, letter: Letter, outcome: Outcome) -> None:
        self.aboard.pop(letter.id, None)
        self.lines.append(journal.settled(letter.id, outcome))
        if outcome.state in ANSWERED:
            lane.answered()
        next_at = None
        if outcome.state is DeliveryState.DEFERRED:
            next_at = now() + backoff(letter.attempts + 1, self.chance)
            if letter.first_tried_at and next_at > letter.first_tried_at + GIVE_UP_AFTER:
                words = f"gave up after {letter.attempts + 1} attempts: {outcome.reply}"
                outcome, next_at = Outcome(DeliveryState.BOUNCED, words), None
        self.settlements.append(Settlement(letter, outcome, next_at))

    def write_down(self) -> None:
        """In the journal first: before that, no body goes out. Raises JournalError."""
        lines, self.lines = self.lines, []
        begun, self.begun = self.begun, []
        settlements, self.settlements = self.settlements, []
        try:
            if lines:
                self.log.write(*lines)
            for row in begun:
                self.aboard.pop(row, None)  # a refusal may have come at once
        finally:
            self.desk.hand_in(settlements)

    def push(self, lane: Lane) -> None:
        """Say what there is to say, and listen for the answer; or wait until the socket takes the rest."""
        events = lane.session.push()
        if events:
            self.handle(lane, events)
        elif lane.watched and lane.listens == bool(lane.session.output):
            lane.listens = not lane.session.output
            wanted = selectors.EVENT_READ if lane.listens else selectors.EVENT_WRITE
            self.selector.modify(lane.watched, wanted, lane)

    def forget(self, lane: Lane) -> None:
        """Watch its socket no more; it may be closed already."""
        if lane.watched:
            self.selector.unregister(lane.watched)
            lane.watched = None

    def look_at_deadlines(self) -> None:
        self.looked_at = time.monotonic()
        for lane in self.lanes:
            silent = self.looked_at - lane.session.moved_at
            if lane.session.busy and silent > lane.session.patience:
                self.handle(lane, lane.session.expire())
            elif lane.session.is_open and not lane.opening and silent > IDLE_SECONDS and not lane.session.busy:
                self.handle(lane, lane.session.noop())
