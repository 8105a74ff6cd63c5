"""What one experiment does, drawn from its kind and seed before anything is started."""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from .faults import PROFILES
from .workshop import Size

SENDING_SECONDS = 1.2  # about how long a run's letters take: time enough for a kill to land among them
LONGEST_PAUSE = 0.1
LETTER_BYTES = 650  # about what the server writes down of one letter
SMALL_DISK = 16  # megabytes: enough for SQLite, which lets its log grow to 4, and filled in no time
FIRST_LATEST = 0.75  # the first blow of an experiment comes soon enough to hit
SIZES = (Size(40), Size(40), Size(100), Size(100), Size(200), Size(300), Size(40, long=True))


ENOUGH_FOR_SEVERAL = (Size(300), Size(500))  # letters are claimed by the hundred


class Kind(StrEnum):
    KILL = "kill"
    KILL_POSTGRESQL = "kill-postgresql"
    SEATS = "seats"  # several senders at one digest, one of which is killed
    DATABASE = "database"
    DISK = "disk"
    SERVER = "server"

    @property
    def database(self) -> str:
        return "postgresql" if self in (Kind.KILL_POSTGRESQL, Kind.SEATS, Kind.DATABASE) else "sqlite"


class Target(StrEnum):
    SENDER = "sender"
    SERVER = "server"
    DATABASE = "database"
    DISK = "disk"


TARGETS = {
    Kind.KILL: Target.SENDER,
    Kind.KILL_POSTGRESQL: Target.SENDER,
    Kind.SEATS: Target.SENDER,
    Kind.DATABASE: Target.DATABASE,
    Kind.DISK: Target.DISK,
    Kind.SERVER: Target.SERVER,
}


class Aim(StrEnum):
    WHOLE = "whole"  # any instant of the command
    OPENING = "opening"  # start-up, enlisting, recovery, the first claim
    WIRE = "wire"  # while letters move, however quick the machine is


@dataclass(frozen=True)
class Blow:
    """Strikes `target` when `fraction` of what `aim` names has passed."""

    target: Target
    aim: Aim
    fraction: float
    downtime: float = 0.0  # until the server or the database is started again
    room: int = 0  # bytes that a full disk still takes

    def seconds(self, startup: float, sending: float) -> float:
        if self.aim is Aim.OPENING:
            return startup * (0.4 + self.fraction)
        return (startup * 1.1 + sending) * self.fraction


@dataclass(frozen=True)
class Plan:
    kind: Kind
    seed: int
    size: Size
    sessions: int
    resend: bool
    rate: int
    pipelining: bool
    profile: str
    window: int
    megabytes: int  # of a small file system; 0 = a limit on the sender's files instead
    retries: bool  # whether doubtful letters are sent again at the end, and whether that run is killed too
    kills_retry: bool
    companions: int  # senders beside the first
    runs: tuple[tuple[Blow, ...], ...]  # what befalls the first run, the second …; later ones are left alone

    @property
    def pause(self) -> float:
        return min(LONGEST_PAUSE, SENDING_SECONDS * self.sessions / self.size.people)

    @property
    def sending(self) -> float:
        return self.size.people * self.pause / self.sessions

    def __str__(self) -> str:
        return (
            f"{self.size.people} people, {'long' if self.size.long else 'short'} letters, {self.sessions} sessions, "
            f"{'resend' if self.resend else 'hold'}, server {self.profile}"
            f"{'' if self.pipelining else ' without PIPELINING'}{f', {self.rate} a second' if self.rate else ''}"
        )


def draw(kind: Kind, seed: int, *, tmpfs: bool = False) -> Plan:
    chance = random.Random(f"{kind} {seed}")
    size = chance.choice(ENOUGH_FOR_SEVERAL if kind is Kind.SEATS else SIZES)
    return Plan(
        kind=kind,
        seed=seed,
        size=size,
        sessions=chance.choice((1, 2, 2) if kind is Kind.SEATS else (1, 4, 4, 8)),
        resend=chance.random() < 0.15,
        rate=int(size.people / SENDING_SECONDS) if chance.random() < 0.15 else 0,
        pipelining=chance.random() < 0.75,
        profile=chance.choice([name for name in PROFILES for _ in range(3 if name == "mixed" else 1)]),
        window=4096 if size.long else 0,
        megabytes=chance.choice((0, SMALL_DISK)) * (kind is Kind.DISK and tmpfs),
        retries=chance.random() < 0.4,
        kills_retry=chance.random() < 0.5,
        companions=2 if kind is Kind.SEATS else 0,
        runs=tuple(draw_blows(kind, chance, first=not number) for number in range(chance.choice((1, 2, 2, 3, 4)))),
    )


def draw_blows(kind: Kind, chance: random.Random, *, first: bool) -> tuple[Blow, ...]:
    """What befalls one run: the blow of the experiment's kind; after the first, sometimes beside another."""
    own = draw_blow(TARGETS[kind], chance, latest=FIRST_LATEST if first else 1.0)
    if kind is Kind.SEATS and chance.random() < 0.7:  # who has begun nothing leaves nothing
        own = replace(own, aim=Aim.WIRE)
    other = Target.SERVER if own.target is Target.SENDER else Target.SENDER
    both = chance.random() < (0.1 if own.target is Target.SENDER else 0.25)
    return (own, draw_blow(other, chance)) if both and not first else (own,)


def draw_blow(target: Target, chance: random.Random, latest: float = 1.0) -> Blow:
    aims = (Aim.WHOLE, Aim.WHOLE, Aim.OPENING, Aim.WIRE)
    if target is Target.SERVER:  # it matters to nobody before the first connection
        aims = (Aim.WHOLE, Aim.WIRE, Aim.WIRE, Aim.WIRE)
    return Blow(
        target,
        chance.choice(aims),
        chance.uniform(0, latest),
        downtime=chance.choice((0.0, chance.uniform(0, 1.5))),
        room=chance.choice((0, chance.randrange(100_000))),
    )
