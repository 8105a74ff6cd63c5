"""What the scripted mail server does to a letter: decided by the seed, the recipient and the number of the attempt.

Nothing here depends on time or on what else goes on, so a server that was killed and started again decides alike.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One for each letter at most. None of them stores the letter but CUT_STORED, STALL and those that only speak."""

    REFUSE = "refuse"  # 550 5.1.1 at RCPT
    DEFER_RCPT = "defer-rcpt"  # 450 at RCPT
    DEFER_DOT = "defer-dot"  # 451 at the dot
    BLOCK = "block"  # 554 5.7.1 at the dot
    STALL = "stall"  # stored, and the reply takes long
    CUT_BODY = "cut-body"  # hangs up in mid-body
    CUT_DOT = "cut-dot"  # hangs up after the dot, nothing stored
    CUT_STORED = "cut-stored"  # stores, then hangs up instead of replying
    CLOSE_MAIL = "close-mail"  # 421 at MAIL, RCPT, the dot
    CLOSE_RCPT = "close-rcpt"
    CLOSE_DOT = "close-dot"


# A server as it is met: most letters are taken. Shares are those of one letter in a hundred.
MIXED: dict[Fault, float] = {
    Fault.REFUSE: 2.0,
    Fault.DEFER_RCPT: 1.0,
    Fault.DEFER_DOT: 1.0,
    Fault.BLOCK: 1.5,
    Fault.STALL: 0.5,
    Fault.CUT_BODY: 0.5,
    Fault.CUT_DOT: 0.7,
    Fault.CUT_STORED: 0.7,
    Fault.CLOSE_MAIL: 0.5,
    Fault.CLOSE_RCPT: 0.5,
    Fault.CLOSE_DOT: 0.5,
}
RUDE = {fault: share * (1 if fault in (Fault.DEFER_RCPT, Fault.DEFER_DOT) else 2.5) for fault, share in MIXED.items()}
SAYING_NO = dict.fromkeys((Fault.REFUSE, Fault.DEFER_RCPT, Fault.DEFER_DOT, Fault.BLOCK), 6.0)
QUIET: dict[Fault, float] = {}
PROFILES = {"mixed": MIXED, "rude": RUDE, "saying-no": SAYING_NO, "quiet": QUIET}


class Moment(StrEnum):
    """Where the server takes its time over a letter, so that a kill can land there."""

    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    BEFORE_STORING = "before storing"
    BEFORE_REPLY = "before reply"


@dataclass(frozen=True)
class Manners:
    """How one letter is treated."""

    fault: Fault | None
    pauses: Mapping[Moment, float]
    multiline: bool  # the reply to the dot comes in two lines
    torn: bool  # and in two segments


@dataclass(frozen=True)
class Script:
    """The whole of a server's behaviour. `pause` is the mean time that a letter takes it, in seconds."""

    seed: int
    shares: Mapping[Fault, float] = field(default_factory=dict)
    pause: float = 0.0

    def manners(self, recipient: str, attempt: int) -> Manners:
        chance = self.chance(recipient, attempt)
        fault = self.draw(chance, [each for each in self.shares if each is not Fault.CLOSE_MAIL])
        moment = chance.choice((*Moment, Moment.BEFORE_STORING, Moment.BEFORE_REPLY))
        pauses = {moment: chance.uniform(0, 2 * self.pause)}
        if fault is Fault.STALL:
            pauses = {Moment.BEFORE_REPLY: chance.uniform(0.3, 1.0)}
        return Manners(fault, pauses, multiline=chance.random() < 0.1, torn=chance.random() < 0.1)

    def closes_at_mail(self, connection: int, letter: int) -> bool:
        """MAIL names no recipient yet: what is decided there depends on the place in the conversation."""
        chance = self.chance("connection", connection, letter)
        return self.draw(chance, [Fault.CLOSE_MAIL]) is not None

    def takes_lone_dot(self, recipient: str, attempt: int) -> bool:
        """Whether DATA without a recipient is answered 354, as RFC 2920 allows, or refused."""
        return self.chance("data", recipient, attempt).random() < 0.5

    def draw(self, chance: random.Random, faults: list[Fault]) -> Fault | None:
        mark = chance.uniform(0, 100)
        for fault in faults:
            mark -= self.shares.get(fault, 0)
            if mark < 0:
                return fault
        return None

    def chance(self, *what: object) -> random.Random:
        return random.Random(f"{self.seed} {what}")


def parse_shares(text: str) -> dict[Fault, float]:
    """`mixed`, or `refuse=3,cut-dot=0.5`: a profile's name or shares of a hundred letters."""
    if text in PROFILES:
        return dict(PROFILES[text])
    pairs = (each.partition("=") for each in text.split(",") if each)
    return {Fault(name): float(share) for name, _, share in pairs}
