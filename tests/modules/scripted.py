"""A mail server without a socket, and the wire to it: what the one says reaches the other cut wherever a test likes."""

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from mailer.delivery.envelope import Parcel
from mailer.delivery.protocol import Begun, Broken, Event, Protocol, Returned, Settled

SILENCE = b""  # no reply, and none to anything that follows
YES = re.compile(rb"(?=(2\d\d))(\1-[^\n]*\r\n)*\1( [^\n]*)?\r\n")


class Script(NamedTuple):
    """What is answered about one letter, by phase. `empty`: to DATA where nobody can get the letter."""

    mail: bytes = b"250 2.1.0 ok\r\n"
    rcpt: bytes = b"250 2.1.5 ok\r\n"
    data: bytes = b"354 go on\r\n"
    dot: bytes = b"250 2.0.0 queued\r\n"
    empty: bytes = b"503 5.5.1 RCPT first\r\n"


class ScriptedServer:
    """Goes by RFC 5321 as far as its scripts, which are found by the letter's sender, let it."""

    def __init__(self, scripts: Mapping[str, Script], *, pipelining: bool) -> None:
        self.scripts, self.pipelining = scripts, pipelining
        self.stored: list[tuple[str, str, bytes]] = []  # (sender, recipient, message)
        self.commands: list[str] = []
        self.not_waited_for: list[str] = []  # commands whose reply the client had to wait for, and did not
        self.empty_messages = 0
        self.answered_at: dict[str, int] = {}  # sender of a letter whose dot came: octets said with the reply to it
        self.buffer, self.said, self.gone, self.in_body = b"", 0, False, False
        self.script, self.sender, self.recipient = Script(), "", ""

    def take(self, written: bytes) -> bytes:
        """The replies to what a client wrote."""
        self.buffer += written
        before = self.said
        answers = b""
        while not self.gone and (answer := self.body() if self.in_body else self.command()) is not None:
            answers += answer
        assert self.said - before == len(answers)
        return answers

    def say(self, reply: bytes) -> bytes:
        self.gone = reply == SILENCE or reply.startswith(b"421")
        self.said += len(reply)
        return reply

    def command(self) -> bytes | None:
        line, end, rest = self.buffer.partition(b"\r\n")
        if not end:
            return None
        self.buffer, words = rest, line.decode()
        assert "\n" not in words
        assert len(line) <= 510 or "ORCPT" in words, "RFC 5321 4.5.3.1.4"
        if rest and (not self.pipelining or words == "DATA"):  # RFC 2920 3.1
            self.not_waited_for.append(words)
        self.commands.append(words)
        verb = words.split(" ")[0].lower()
        return self.say(getattr(self, f"on_{verb}")(words))

    def on_mail(self, words: str) -> bytes:
        if self.sender:
            return b"503 5.5.1 nested MAIL\r\n"
        sender = words.partition("<")[2].partition(">")[0]
        self.script = self.scripts[sender]
        if self.script.mail.startswith(b"2"):
            self.sender = sender
        return self.script.mail

    def on_rcpt(self, words: str) -> bytes:
        if not self.sender:
            return b"503 5.5.1 MAIL first\r\n"
        if self.script.rcpt.startswith(b"2"):
            self.recipient = words.partition("<")[2].partition(">")[0]
        return self.script.rcpt

    def on_data(self, _words: str) -> bytes:
        answer = self.script.data if self.recipient else self.script.empty
        self.in_body = answer.startswith(b"354")
        return answer

    def on_rset(self, _words: str) -> bytes:
        self.sender = self.recipient = ""
        return b"250 2.0.0 ok\r\n"

    def on_noop(self, _words: str) -> bytes:
        return b"250 2.0.0 ok\r\n"

    def body(self) -> bytes | None:
        end = (b"\r\n" + self.buffer).find(b"\r\n.\r\n")
        if end < 0:
            return None
        message, self.buffer = self.buffer[:end], self.buffer[end + 3 :]
        if self.buffer and not self.pipelining:
            self.not_waited_for.append(".")
        sender, recipient = self.sender, self.recipient
        self.sender, self.recipient, self.in_body = "", "", False
        if not recipient:
            self.empty_messages += 1
            assert message == b"", "a body for nobody"
            return self.say(b"554 5.5.1 no valid recipients\r\n")
        answer = self.say(self.script.dot)
        self.answered_at[sender] = self.said
        if is_yes(answer):
            self.stored.append((sender, recipient, message))
        return answer


class Babbler:
    """A server that says the next of its sentences whenever it hears something, whatever that is."""

    def __init__(self, sentences: Iterable[bytes]) -> None:
        self.sentences = iter(sentences)

    def take(self, _written: bytes) -> bytes:
        return next(self.sentences, SILENCE)


def is_yes(reply: bytes) -> bool:
    return bool(YES.fullmatch(reply))


class Talk:
    """Letters offered to a protocol one after another, as a courier does, over a wire that cuts the server's words at
    the octets `cuts`, brings none from the octet `deaf_at` on, and takes none from the octet `breaks_at` on."""

    def __init__(
        self,
        protocol: Protocol,
        server: ScriptedServer | Babbler,
        parcels: Sequence[Parcel],
        cuts: Collection[int] = (),
        *,
        deaf_at: int | None = None,
        breaks_at: int | None = None,
    ) -> None:
        self.protocol, self.server, self.cuts = protocol, server, cuts
        self.deaf_at, self.breaks_at = deaf_at, breaks_at
        self.parcels, self.waiting = parcels, deque(parcels)
        self.offered: list[Parcel] = []
        self.events: list[Event] = []
        self.on_the_way, self.heard, self.written = b"", 0, b""

    def run(self) -> "Talk":
        while self.waiting and not self.protocol.over:
            self.offer()
            while self.protocol.phase:
                self.note(self.exchange())
        return self

    def offer(self) -> None:
        self.offered.append(self.waiting.popleft())
        settled = self.protocol.offer(self.offered[-1])
        self.note([settled] if settled else [])

    def exchange(self) -> list[Event]:
        output = self.protocol.output()
        taken = output if self.breaks_at is None else output[: self.breaks_at - len(self.written)]
        self.written += taken
        self.check_bodies(taken)
        self.on_the_way += self.server.take(taken)
        if len(taken) < len(output) or len(self.written) == self.breaks_at:
            return self.protocol.lost("broken pipe", len(output) - len(taken))
        return self.hear()

    def hear(self) -> list[Event]:
        size = 0
        while size < len(self.on_the_way) and self.heard + size != self.deaf_at:
            size += 1
            if self.heard + size in self.cuts:
                break
        if not size:
            return self.protocol.lost("the connection was closed")
        piece, self.on_the_way = self.on_the_way[:size], self.on_the_way[size:]
        self.heard += size
        return self.protocol.receive(piece)

    def note(self, events: list[Event]) -> None:
        for event in events:
            assert not (self.events and isinstance(self.events[-1], Broken)), "nothing comes after Broken"
            self.events.append(event)
            if isinstance(event, Begun) and self.protocol.features.pipelining and self.waiting:
                self.offer()

    def check_bodies(self, written: bytes) -> None:
        for parcel in self.parcels:
            assert parcel.message not in written or self.has_begun(parcel), "a body before it was announced"

    def has_begun(self, parcel: Parcel) -> bool:
        return any(isinstance(each, Begun) and each.parcel == parcel for each in self.events)

    def ends(self, parcel: Parcel) -> list[Settled | Returned]:
        return [each for each in self.events if isinstance(each, Settled | Returned) and each.parcel == parcel]
