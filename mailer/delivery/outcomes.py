"""What a mail server's replies mean. Pure: a phase and a reply in, a verdict out; a test holds the whole table."""

import random
import re
from datetime import timedelta
from enum import StrEnum, auto
from typing import NamedTuple

from mailer.masking import mask_addresses
from mailer.states import DeliveryState

GIVE_UP_AFTER = timedelta(hours=72)
BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240))

# RFC 3463: the address is dead. 5.2.1 and 5.4.1 are how large providers say that a mailbox is closed.
DEAD = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.1"}
FULL = {"5.2.2", "5.2.3"}
OUR_SYNTAX = {500, 501, 502, 503, 504, 555}
NO_SUCH_USER = re.compile(
    r"(no such|unknown|invalid|non-?existent) +(user|mailbox|recipient|address|account)"
    r"|(user|mailbox|recipient|address|account) +(is +)?(unknown|not found|unavailable|invalid|disabled)"
    r"|(user|mailbox|recipient|address|account) +(does ?n[o']t|do not) +exist",
    re.IGNORECASE,
)


class Phase(StrEnum):
    CONNECT = auto()
    STARTTLS = auto()
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    DOT = auto()
    LONE_DOT = auto()  # the end of an empty message for nobody
    RSET = auto()
    NOOP = auto()


OPENING = (Phase.CONNECT, Phase.STARTTLS, Phase.AUTH)


class Verdict(StrEnum):
    PROCEED = auto()  # at the final dot: accepted
    DEFER = auto()
    BOUNCE = auto()
    BLOCK = auto()
    BACK_OFF = auto()  # the server is in trouble; nobody's letter was tried
    STOP = auto()  # the server refuses us, not a recipient: bounces nobody


class Reply(NamedTuple):
    code: int
    text: str

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 2034), if the text begins with one of the reply's own class."""
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}", self.text)
        return found[0] if found and found[0][0] == str(self.code)[0] else ""

    def __str__(self) -> str:
        """On one line, and without addresses: it is kept in the ledger and in journals, and shown in logs."""
        words = self.text
        if not words.isprintable():
            words = "".join(letter if letter.isprintable() else " " for letter in words)
        return f"{self.code} {' '.join(mask_addresses(words).split())}"[:500]


class Outcome(NamedTuple):
    """What became of one letter in one attempt."""

    state: DeliveryState
    reply: str


STATES = {
    Verdict.PROCEED: DeliveryState.ACCEPTED,
    Verdict.DEFER: DeliveryState.DEFERRED,
    Verdict.BOUNCE: DeliveryState.BOUNCED,
    Verdict.BLOCK: DeliveryState.BLOCKED,
}


def judge(phase: Phase, reply: Reply) -> Verdict:
    """The verdict on a reply; `docs/outcomes.md` says in words what stands here."""
    if 200 <= reply.code < 300 or (phase is Phase.DATA and reply.code == 354):
        return Verdict.PROCEED
    if reply.code == 421 or 300 <= reply.code < 400:
        return Verdict.BACK_OFF  # closing, or out of step with us: nothing can be concluded from it
    if phase in OPENING:
        return judge_opening(phase, reply)
    if 400 <= reply.code < 500:
        return Verdict.DEFER
    if reply.code in OUR_SYNTAX:
        return Verdict.BLOCK
    if phase in (Phase.RCPT, Phase.DOT):
        return judge_recipient(phase, reply)
    return Verdict.STOP


def judge_opening(phase: Phase, reply: Reply) -> Verdict:
    """A refusal before any letter: waiting may help, except where going on would be unsafe or the server means us."""
    temporary = 400 <= reply.code < 500 and phase is not Phase.STARTTLS
    return Verdict.BACK_OFF if temporary else Verdict.STOP


def judge_recipient(phase: Phase, reply: Reply) -> Verdict:
    """A permanent refusal of one recipient, or of the content sent to them."""
    if reply.enhanced in FULL or (phase is Phase.RCPT and reply.code == 552):
        return Verdict.DEFER  # RFC 5321 4.5.3.1.10: 552 for a full mailbox means 452
    if reply.enhanced in DEAD or reply.code == 556:
        return Verdict.BOUNCE
    if not reply.enhanced and phase is Phase.RCPT and NO_SUCH_USER.search(reply.text):
        return Verdict.BOUNCE
    return Verdict.BLOCK


def backoff(attempts: int, chance: random.Random) -> timedelta:
    """How long a letter that was put off waits after its `attempts`th try: full jitter, never less than half a minute,
    so that a server in trouble isn't met by all of them at once."""
    longest = BACKOFF[min(attempts, len(BACKOFF)) - 1]
    return timedelta(seconds=30) + longest * chance.random()
