"""What must be true after an experiment, as pure functions: facts in, problems out.

Told apart are a letter that is lost (accepted, and the server has no copy), one that is doubled (two copies, and
nobody asked for the second) and one in doubt (`unknown`), of which a kill may leave one for each open session.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from .record import Copy, Record

# How many letters of a session one kill may leave in doubt.
DOUBT = 1
STATES = ("queued", "sending", "accepted", "deferred", "bounced", "blocked", "cancelled", "unknown")
ENDED = ("accepted", "deferred", "bounced", "blocked", "cancelled", "unknown")


@dataclass(frozen=True)
class Facts:
    """What the product and the mail server say after an experiment."""

    people: Sequence[str]
    status: dict[str, Any]
    report: Sequence[dict[str, Any]]
    record: Record
    sessions: int
    blows: int  # kills of the sender, the database or the server, and full disks
    resend: bool = False  # ON_UNKNOWN
    retried: Counter[str] = field(default_factory=Counter)  # how often each was queued again by hand
    doubt: int = DOUBT

    @property
    def states(self) -> dict[str, str]:
        return {row["email"]: row["state"] for row in self.report}

    def copies(self, person: str) -> list[Copy]:
        return self.record.copies.get(person, [])

    def second_chance(self, person: str) -> int:
        """How many copies beyond the first this person may have."""
        return self.retried[person] + self.resend

    def in_doubt(self) -> list[str]:
        """Who is `unknown`, or was and was sent another copy by itself."""
        return [
            person
            for person, state in self.states.items()
            if state == "unknown" or len(self.copies(person)) > 1 + self.retried[person]
        ]


Rule = Callable[[Facts], Iterator[str]]


def problems(facts: Facts) -> list[str]:
    """Everything that is wrong, each in one line that names a person."""
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(facts)]


def unbalanced(facts: Facts) -> Iterator[str]:
    """Enlisted is the sum of all states, and everybody was enlisted."""
    status = facts.status
    total = sum(status[state] for state in STATES)
    if not status["enlisted"] == total == len(facts.people):
        yield f"{status['enlisted']} enlisted, {total} in states, {len(facts.people)} people"
    counted = Counter(row["state"] for row in facts.report)
    if counted != Counter({state: status[state] for state in STATES if status[state]}):
        yield f"status and report differ: {dict(counted)}"


def missing(facts: Facts) -> Iterator[str]:
    """Everybody has one row."""
    rows = Counter(row["email"] for row in facts.report)
    for person in facts.people:
        if rows[person] != 1:
            yield f"{person} has {rows[person]} rows"
    for stranger in set(rows) - set(facts.people):
        yield f"{stranger} is nobody we know"


def unfinished(facts: Facts) -> Iterator[str]:
    for person, state in facts.states.items():
        if state not in ENDED:
            yield f"{person} is still {state}"
    complete = not any(facts.status[state] for state in ("queued", "sending", "deferred"))
    if facts.status["state"] != ("sent" if complete else "sending"):
        yield f"the digest is {facts.status['state']}"


def lost(facts: Facts) -> Iterator[str]:
    for person, state in facts.states.items():
        if state == "accepted" and not facts.copies(person):
            yield f"{person} is accepted and has no copy"


def doubled(facts: Facts) -> Iterator[str]:
    for person in facts.people:
        count = len(facts.copies(person))
        if count > 1 + facts.second_chance(person):
            yield f"{person} has {count} copies, {facts.retried[person]} times queued again by hand"


def unequal(facts: Facts) -> Iterator[str]:
    """A second copy is the first one again, byte for byte, so that whoever receives it can drop it."""
    for person in facts.people:
        copies = facts.copies(person)
        if len({(copy.message_id, copy.sha256, facts.record.bytes_of(copy)) for copy in copies}) > 1:
            yield f"the {len(copies)} copies for {person} differ"


def misdirected(facts: Facts) -> Iterator[str]:
    """A letter's bytes are those of the person in the envelope, and nobody else has its Message-ID."""
    owners: dict[str, str] = {}
    for person, copies in facts.record.copies.items():
        for copy in copies:
            if person not in copy.header_to:
                yield f"{person} got the letter to {copy.header_to}"
            if owners.setdefault(copy.message_id, person) != person or not copy.message_id:
                yield f"{person} and {owners[copy.message_id]} share the Message-ID {copy.message_id!r}"


def cut_short(facts: Facts) -> Iterator[str]:
    """Stored is what was written to its end: all letters are equally long, give or take a name and a language."""
    copies = [copy for each in facts.record.copies.values() for copy in each]
    usual = mean(copy.length for copy in copies) if copies else 0
    for copy in copies:
        if not copy.ending.endswith("--\r\n") or abs(copy.length - usual) > usual / 4:
            yield f"the letter to {copy.recipient} has {copy.length} bytes and ends with {copy.ending[-20:]!r}"


REASONS = {"bounced": {550}, "blocked": {554}, "deferred": {450, 451}}


def invented(facts: Facts) -> Iterator[str]:
    """A refusal that the ledger names was given to this person: replies must not move from one letter to another."""
    for person, state in facts.states.items():
        refusals = facts.record.refusals.get(person, set())
        cut_off = state == "deferred" and facts.record.unanswered(person)
        if state in REASONS and not (REASONS[state] & refusals or cut_off):
            yield f"{person} is {state}, and the server said {sorted(refusals) or 'nothing'} to them"


def denied(facts: Facts) -> Iterator[str]:
    """Who has a copy is accepted or unknown, unless they were unknown before and were then refused the second."""
    for person, state in facts.states.items():
        if facts.copies(person) and state not in ("accepted", "unknown") and not facts.second_chance(person):
            yield f"{person} has a copy and is {state}"


def odd(facts: Facts) -> Iterator[str]:
    yield from sorted(set(facts.record.odd))


def too_many_in_doubt(facts: Facts) -> Iterator[str]:
    count, withheld = len(facts.in_doubt()), facts.record.withheld.total()
    allowed = facts.blows * facts.sessions * facts.doubt + withheld
    if count > allowed:
        yield (
            f"{count} in doubt; {facts.blows} blows at {facts.sessions} sessions "
            f"and {withheld} withheld replies explain {allowed}"
        )


def doubted_without_reason(facts: Facts) -> Iterator[str]:
    """In doubt is who was asked for (354) and, if the body began, was the last on that connection."""
    if facts.doubt > 1:  # whole batches may be in doubt, begun or not
        return
    for person in facts.in_doubt():
        begun = any(person in each.bodies for each in facts.record.conversations.values())
        if person not in facts.record.prompted:
            yield f"{person} is in doubt, and no server asked for the letter"
        elif begun and not facts.record.ended_with(person):
            yield f"{person} is in doubt, and their connection went on to the next letter"


RULES: tuple[Rule, ...] = (
    unbalanced,
    missing,
    unfinished,
    lost,
    doubled,
    unequal,
    misdirected,
    cut_short,
    invented,
    denied,
    odd,
    too_many_in_doubt,
    doubted_without_reason,
)
