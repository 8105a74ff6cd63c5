"""One SMTP session after its opening, without a socket: bytes in, bytes and events out (sans-IO).

Where the server offers PIPELINING, a letter's body and final dot travel with the next letter's MAIL, RCPT and DATA,
and the four replies are read together: one round trip a letter (RFC 2920 3.1: content may begin a group, DATA must
end it). What a reply means is decided by `outcomes`; here is only which question it answers.

    offer(parcel) → output() is written → receive(bytes) → events …
"""

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mailer.delivery.envelope import Features, Parcel, impossible, mail_command, rcpt_command
from mailer.delivery.outcomes import STATES, Outcome, Phase, Reply, Verdict, judge
from mailer.errors import MailServerError
from mailer.states import DeliveryState

LONGEST_REPLY = 64 * 1024  # octets; RFC 5321 4.5.3.1.5 allows 512 a line
GOES_ON = re.compile(rb"(?:250 [^\r\n]*\r\n){2}354 [^\r\n]*\r\n")  # to MAIL, RCPT and DATA
REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*?))?\r?\Z", re.DOTALL)  # RFC 5321 4.2


class ServerTrouble(MailServerError):
    """The server is down, slow, closing or out of step: waiting helps, and no letter was tried but those said to be."""


class ServerRefuses(MailServerError):
    """The server wants none of our mail, or can't be trusted: waiting doesn't help."""


class Begun(NamedTuple):
    """The server waits for this letter's body, which is in the output now."""

    parcel: Parcel


class Settled(NamedTuple):
    parcel: Parcel
    outcome: Outcome


class Returned(NamedTuple):
    """Nothing became of this letter: it was not tried."""

    parcel: Parcel


class Broken(NamedTuple):
    """The session is over. Always the last event."""

    trouble: ServerTrouble | ServerRefuses


Event = Begun | Settled | Returned | Broken


@dataclass(slots=True)
class Exchange:
    """A letter's way through a transaction; `refusal` once one of its commands was refused."""

    parcel: Parcel
    refusal: Outcome | None = None


JOINED = (Phase.MAIL, Phase.RCPT)
JOINED_LETTERS = (Phase.DOT, Phase.MAIL, Phase.RCPT, Phase.DATA)  # what is due after a body and the next envelope


class Protocol:
    """At most two letters are under way: one whose final dot waits for its reply, and the next one's envelope."""

    def __init__(self, features: Features, where: str = "mail server") -> None:
        self.features, self.where = features, where
        self.buffer = b""  # a line that has not ended yet
        self.begun_reply: list[Reply] = []  # the lines so far of a reply of several
        self.begun_octets = 0
        # The replies to MAIL, RCPT and DATA when all goes well, as this server words them.
        self.usual: bytes | None = None
        self.expected: deque[tuple[Phase, Exchange | None]] = deque()
        self.ready: Exchange | None = None  # has its 354: the body goes out unless the server goes on talking
        self.held: Exchange | None = None  # waits, without PIPELINING, for the reply to RSET
        self.unclean = False  # a transaction failed: RSET before the next
        self.out: list[bytes] = []
        self.body_is_next = False  # the output begins with a letter's body and final dot
        self.behind_dot: int | None = None  # octets of the last output that come after the final dot, if it holds one
        self.over = False

    @property
    def phase(self) -> Phase | None:
        """The phase whose reply is due next; None if there is nothing to wait for."""
        return self.expected[0][0] if self.expected else None

    def output(self) -> bytes:
        """What is to be written now; it is handed out once. A letter that was `Begun` must be in the journal first."""
        written = b"".join(self.out)
        self.behind_dot = len(written) - len(self.out[0]) - len(self.out[1]) if self.body_is_next else None
        self.body_is_next = False
        self.out.clear()
        return written

    def offer(self, parcel: Parcel) -> Settled | None:
        """Begin a transaction, or settle at once a letter that this server can't take."""
        if refusal := impossible(parcel, self.features):
            return Settled(parcel, Outcome(DeliveryState.BLOCKED, refusal))
        exchange, must_reset, self.unclean = Exchange(parcel), self.unclean, False
        if must_reset:
            self.ask(Phase.RSET, None, b"RSET\r\n")
        if self.features.pipelining:
            commands = f"{mail_command(parcel, self.features)}{rcpt_command(parcel, self.features)}DATA\r\n"
            self.out.append(commands.encode())
            self.expected += ((Phase.MAIL, exchange), (Phase.RCPT, exchange), (Phase.DATA, exchange))
        elif must_reset:
            self.held = exchange
        else:
            self.ask(Phase.MAIL, exchange, mail_command(parcel, self.features).encode())
        return None

    def noop(self) -> None:
        """Ask for a sign of life."""
        self.ask(Phase.NOOP, None, b"NOOP\r\n")

    def ask(self, phase: Phase, exchange: Exchange | None, command: bytes) -> None:
        self.out.append(command)
        self.expected.append((phase, exchange))

    def receive(self, data: bytes) -> list[Event]:
        """What the replies in `data` say, however they were cut; after Broken nothing more may be asked."""
        if len(self.expected) == len(JOINED_LETTERS) and not self.body_is_next and (usual := self.everyday(data)):
            return usual
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        events: list[Event] = []
        try:
            for line in lines:
                found = parse_line(line)
                if found and found[1] and not self.begun_reply:  # nearly every reply is of one line
                    self.understand(found[0], events)
                elif reply := self.read_line(line):
                    self.understand(reply, events)
            if len(self.buffer) > LONGEST_REPLY or (self.ready and (self.buffer or self.begun_reply)):
                raise self.out_of_step(self.buffer)
        except (ServerTrouble, ServerRefuses) as error:
            return events + self.break_off(error, DeliveryState.UNKNOWN, f"no reply to the message: {error}")
        if self.ready:
            self.begin(self.ready, events)
        return events

    def everyday(self, data: bytes) -> list[Event]:
        """What happened, if `data` is what a server says nearly always: it took the letter, and goes on with the next
        one. One look at the whole, since this is most of what a digest's sender reads."""
        (phase, done), *_, (_, following) = self.expected
        if phase is not Phase.DOT or not done or not following or self.buffer or self.begun_reply:
            return []
        verdict, _, others = data.partition(b"\n")
        if others != self.usual:
            if not GOES_ON.fullmatch(others):
                return []
            self.usual = others
        outcome = acceptance(verdict)
        if not outcome:
            return []
        events: list[Event] = [Settled(done.parcel, outcome)]
        self.expected.clear()
        self.begin(following, events)
        return events

    def read_line(self, line: bytes) -> Reply | None:
        """The reply of several lines that this one ends, if it ends it (RFC 5321 4.2.1). Raises ServerTrouble for what
        is no reply."""
        found = parse_line(line)
        if found is None:
            raise self.out_of_step(line)
        reply, is_last = found
        self.begun_reply.append(reply)
        self.begun_octets += len(line)
        if reply.code != self.begun_reply[0].code or self.begun_octets > LONGEST_REPLY:
            raise self.out_of_step(line)
        if not is_last:
            return None
        words = "\n".join(each.text for each in self.begun_reply)
        self.begun_reply.clear()
        self.begun_octets = 0
        return Reply(reply.code, words)

    def begin(self, exchange: Exchange, events: list[Event]) -> None:
        self.ready = None
        self.body_is_next = True
        self.out += (exchange.parcel.message, b".\r\n")
        self.expected.append((Phase.DOT, exchange))
        events.append(Begun(exchange.parcel))

    def understand(self, reply: Reply, events: list[Event]) -> None:
        """Raises ServerTrouble or ServerRefuses for a reply that ends the session."""
        if not self.expected:
            if reply.code == 421:
                raise self.closing(reply)
            raise self.out_of_step(str(reply).encode())
        phase, exchange = self.expected[0]
        if exchange and not exchange.refusal and reply.code < 300 and phase in JOINED and self.features.pipelining:
            self.expected.popleft()  # the everyday case: the commands that follow were sent along
            return
        verdict = judge(phase, reply)
        if exchange is None:
            self.between(phase, reply, verdict)
        elif exchange.refusal:
            self.refused(phase, exchange, exchange.refusal, reply, events)
        elif phase is Phase.DOT:
            self.judged(exchange, reply, verdict, events)
        else:
            self.asked(phase, exchange, reply, verdict, events)
        self.expected.popleft()

    def between(self, phase: Phase, reply: Reply, verdict: Verdict) -> None:
        if verdict is Verdict.BACK_OFF or (phase is not Phase.LONE_DOT and verdict is not Verdict.PROCEED):
            raise self.closing(reply)
        if phase is Phase.RSET and self.held:
            self.ask(Phase.MAIL, self.held, mail_command(self.held.parcel, self.features).encode())
            self.held = None

    def asked(self, phase: Phase, exchange: Exchange, reply: Reply, verdict: Verdict, events: list[Event]) -> None:
        """The reply to a command of a transaction that goes well so far."""
        if verdict is Verdict.BACK_OFF:
            raise self.closing(reply) if reply.code == 421 else self.out_of_step(str(reply).encode())
        if verdict is Verdict.STOP:
            raise ServerRefuses(f"{self.where} refuses our mail: {reply} (to {phase.upper()})")
        if verdict is not Verdict.PROCEED:
            exchange.refusal = Outcome(STATES[verdict], str(reply))
            self.unclean = True
            if phase is Phase.DATA or not self.features.pipelining:
                events.append(Settled(exchange.parcel, exchange.refusal))
        elif phase is Phase.DATA:
            if reply.code != 354:
                raise self.out_of_step(str(reply).encode())
            self.ready = exchange
        elif not self.features.pipelining:
            self.go_on(phase, exchange)

    def go_on(self, phase: Phase, exchange: Exchange) -> None:
        if phase is Phase.MAIL:
            self.ask(Phase.RCPT, exchange, rcpt_command(exchange.parcel, self.features).encode())
        else:
            self.ask(Phase.DATA, exchange, b"DATA\r\n")

    def refused(self, phase: Phase, exchange: Exchange, refusal: Outcome, reply: Reply, events: list[Event]) -> None:
        """The replies that come behind a refusal, to commands that were sent along. A server that has taken no
        recipient and wants a body all the same gets an empty one (RFC 2920 3.1)."""
        if reply.code == 421:
            raise self.closing(reply)
        wants_body = phase is Phase.DATA and reply.code == 354
        if reply.code < 400 and not wants_body:
            raise self.out_of_step(str(reply).encode())
        if phase is Phase.DATA:
            events.append(Settled(exchange.parcel, refusal))
        if wants_body:
            self.ask(Phase.LONE_DOT, None, b".\r\n")

    def judged(self, exchange: Exchange, reply: Reply, verdict: Verdict, events: list[Event]) -> None:
        """The reply to the final dot."""
        if reply.code == 421:
            raise self.closing(reply, exchange)
        if verdict is Verdict.BACK_OFF or self.body_is_next:  # nobody can judge what has not left yet
            raise self.out_of_step(str(reply).encode())
        events.append(Settled(exchange.parcel, Outcome(STATES[verdict], str(reply))))

    def lost(self, reason: str, unsent: int = 0) -> list[Event]:
        """The connection is gone. `unsent` octets of the last output were not written: if the final dot is among
        them, the letter can't have been accepted."""
        trouble = ServerTrouble(f"{self.where} broke off{self.at_phase()}: {reason}")
        if self.dot_is_unsent(unsent):
            return self.break_off(trouble, DeliveryState.DEFERRED, f"the connection broke in mid-message: {reason}")
        return self.break_off(trouble, DeliveryState.UNKNOWN, f"no reply to the message: {reason}")

    def dot_is_unsent(self, unsent: int) -> bool:
        """Whether a letter's final dot is among the last `unsent` octets of the last output."""
        return self.behind_dot is not None and unsent > self.behind_dot

    def at_phase(self) -> str:
        return f" at {self.phase.upper()}" if self.phase else ""

    def break_off(self, trouble: ServerTrouble | ServerRefuses, state: DeliveryState, words: str) -> list[Event]:
        """End what is under way. `state`: that of a letter whose final dot has no reply, for between the dot and its
        reply nobody can know (RFC 1047); the others were not tried."""
        phases = {id(exchange): (phase, exchange) for phase, exchange in reversed(self.expected) if exchange}
        events = [
            self.end_of(phase, exchange, trouble, Outcome(state, words[:500]))
            for phase, exchange in reversed(phases.values())
        ]
        events += [Returned(waiting.parcel) for waiting in (self.ready, self.held) if waiting]
        self.expected.clear()
        self.out.clear()
        self.ready = self.held = None
        self.over = True
        return [*events, Broken(trouble)]

    def end_of(self, phase: Phase, exchange: Exchange, trouble: Exception, doubtful: Outcome) -> Event:
        if exchange.refusal:
            return Settled(exchange.parcel, exchange.refusal)
        not_taken = self.body_is_next or (isinstance(trouble, Closing) and trouble.answers is exchange)
        return Returned(exchange.parcel) if phase is not Phase.DOT or not_taken else Settled(exchange.parcel, doubtful)

    def closing(self, reply: Reply, answers: Exchange | None = None) -> "Closing":
        return Closing(f"{self.where} is closing: {reply}", answers)

    def out_of_step(self, said: bytes) -> ServerTrouble:
        return ServerTrouble(f"{self.where} is out of step{self.at_phase()}: it says {said[:60]!r}")


class Closing(ServerTrouble):
    """A 421 (RFC 5321 3.8). As the answer to a final dot it says that the message was not taken."""

    def __init__(self, words: str, answers: Exchange | None = None) -> None:
        super().__init__(words)
        self.answers = answers


@lru_cache(maxsize=64)  # most lines of a server come again and again
def parse_line(line: bytes) -> tuple[Reply, bool] | None:
    """A line of a reply, and whether it is the reply's last; None for what is no such line."""
    found = REPLY_LINE.match(line)
    if not found:
        return None
    code, mark, words = found.groups()
    return Reply(int(code), (words or b"").decode("utf-8", "replace")), mark != b"-"


@lru_cache(maxsize=64)
def acceptance(line: bytes) -> Outcome | None:
    """What became of a letter by the reply to its final dot, if that is of one line and the letter was accepted."""
    found = parse_line(line)
    if found is None or not found[1] or not 200 <= found[0].code < 300:
        return None
    return Outcome(DeliveryState.ACCEPTED, str(found[0]))
