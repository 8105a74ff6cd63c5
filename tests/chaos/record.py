"""What the scripted server wrote down: a line of JSON for each event, appended before the client learns of it.

The record outlives a server that is killed, and the next server goes on in it.
"""

import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Event(StrEnum):
    OPEN = "open"  # a connection
    RCPT = "rcpt"  # an attempt at a letter begins
    DATA = "data"  # 354
    BODY = "body"  # its first bytes
    DOT = "dot"  # its end
    STORED = "stored"
    REPLIED = "replied"  # to the dot
    REFUSED = "refused"  # 4yz or 5yz to RCPT or the dot, written before it is said
    WITHHELD = "withheld"  # the body has begun, and no reply will follow
    ODD = "odd"  # what no client may do
    CLOSE = "close"


@dataclass(frozen=True)
class Copy:
    """One stored letter."""

    recipient: str
    connection: int
    message_id: str
    header_to: str
    sha256: str
    offset: int
    length: int
    ending: str


class Recorder:
    """Appends to the record of a folder. The bytes of letters lie beside it in one file."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.Lock()
        self.path, self.bodies = events_file(folder), bodies_file(folder)
        earlier = list(read(self.path))
        self.connections: int = sum(each["event"] == Event.OPEN for each in earlier)
        self.attempts: Counter[str] = Counter(each["to"] for each in earlier if each["event"] == Event.RCPT)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self.events_fd, self.bodies_fd = os.open(self.path, flags, 0o600), os.open(self.bodies, flags, 0o600)
        if self.path.stat().st_size:
            os.write(self.events_fd, b"\n")  # after a line that a kill tore
        for number in left_open(earlier):
            self.note(Event.CLOSE, number, how="the server was killed")

    def note(self, event: Event, connection: int, **details: object) -> None:
        line = json.dumps({"event": event, "connection": connection, **details}) + "\n"
        with self.lock:
            os.write(self.events_fd, line.encode())

    def open(self) -> int:
        """A new connection's number."""
        with self.lock:
            self.connections += 1
            number = self.connections
        self.note(Event.OPEN, number)
        return number

    def attempt(self, connection: int, recipient: str) -> int:
        with self.lock:
            self.attempts[recipient] += 1
            number = self.attempts[recipient]
        self.note(Event.RCPT, connection, to=recipient, attempt=number)
        return number

    def keep(self, body: bytes) -> int:
        """Store a letter's bytes; where they begin in the file."""
        with self.lock:
            offset = os.lseek(self.bodies_fd, 0, os.SEEK_END)
            os.write(self.bodies_fd, body)
        return offset


def left_open(events: Iterable[dict[str, Any]]) -> list[int]:
    """The connections that no event says were closed."""
    last = {event["connection"]: event["event"] for event in events}
    return [connection for connection, event in last.items() if event != Event.CLOSE]


def events_file(folder: Path) -> Path:
    return folder / "events.jsonl"


def bodies_file(folder: Path) -> Path:
    return folder / "bodies"


def read(path: Path, size: int | None = None) -> Iterable[dict[str, Any]]:
    """The events of a record, or of its first `size` bytes. A line that a kill tore was not yet acted upon."""
    if not path.exists():
        return
    for line in path.read_bytes()[:size].splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


@dataclass
class Conversation:
    """How far one connection came."""

    last: Event = Event.OPEN
    bodies: list[str] = field(default_factory=list)  # to whom, in their order
    unanswered: str = ""  # whose letter was asked for, and got no reply


class Record:
    """The events of one experiment, sorted for the questions that its check asks."""

    def __init__(self, events: Iterable[dict[str, Any]], bodies: Path | None = None) -> None:
        self.bodies = bodies
        self.copies: dict[str, list[Copy]] = defaultdict(list)
        self.refusals: dict[str, set[int]] = defaultdict(set)
        self.withheld: Counter[str] = Counter()
        self.prompted: set[str] = set()
        self.odd: list[str] = []
        self.conversations: dict[int, Conversation] = defaultdict(Conversation)
        for event in events:
            self.add(event)

    @classmethod
    def of(cls, folder: Path, size: int | None = None) -> "Record":
        return cls(read(events_file(folder), size), bodies_file(folder))

    def add(self, event: dict[str, Any]) -> None:
        kind, conversation = Event(event["event"]), self.conversations[event["connection"]]
        # A refused or withheld letter is over; a stored one waits for its reply as before.
        conversation.last = conversation.last if kind in (Event.STORED, Event.ODD) else kind
        take = getattr(self, f"add_{kind}", None)
        if take:
            take(event, conversation)

    def add_data(self, event: dict[str, Any], conversation: Conversation) -> None:
        self.prompted.add(event["to"])
        conversation.unanswered = event["to"]

    def add_body(self, event: dict[str, Any], conversation: Conversation) -> None:
        conversation.bodies.append(event["to"])

    def add_replied(self, _: dict[str, Any], conversation: Conversation) -> None:
        conversation.unanswered = ""

    def add_stored(self, event: dict[str, Any], _: Conversation) -> None:
        values = {name: event[name] for name in Copy.__dataclass_fields__ if name != "recipient"}
        self.copies[event["to"]].append(Copy(event["to"], **values))

    def add_refused(self, event: dict[str, Any], _: Conversation) -> None:
        self.refusals[event["to"]].add(event["code"])

    def add_withheld(self, event: dict[str, Any], _: Conversation) -> None:
        self.withheld[event["to"]] += 1

    def add_odd(self, event: dict[str, Any], _: Conversation) -> None:
        self.odd.append(event["what"])

    @property
    def stored(self) -> int:
        return sum(len(copies) for copies in self.copies.values())

    def ended_with(self, recipient: str) -> bool:
        """Whether a letter to this person was the last whose body its connection began."""
        return any(each.bodies and each.bodies[-1] == recipient for each in self.conversations.values())

    def unanswered(self, recipient: str) -> bool:
        """Whether a connection ended in the middle of this person's letter, or after it without a reply."""
        return any(each.unanswered == recipient for each in self.conversations.values())

    def phases(self, since: int = 0) -> Counter[str]:
        """What went on, on each connection after number `since`, where the record was cut off: where a kill landed."""
        mine = [each.last for number, each in self.conversations.items() if number > since]
        going_on = Counter(PHASES[last] for last in mine if last in PHASES)
        return going_on or Counter([AFTER if mine else BEFORE])

    def bytes_of(self, copy: Copy) -> bytes:
        if self.bodies is None:
            return b""
        with self.bodies.open("rb") as file:
            file.seek(copy.offset)
            return file.read(copy.length)


PHASES = {
    Event.DOT: "between dot and reply",
    Event.BODY: "in mid-body",
    Event.DATA: "before the body",
    Event.RCPT: "before the body",
    Event.REPLIED: "after a reply",
    Event.REFUSED: "after a reply",
    Event.OPEN: "opening a connection",
}
BEFORE, AFTER = "before the first connection", "after the last letter"
