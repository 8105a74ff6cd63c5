"""A name server on loopback: it knows a few names, denies the rest, and can fall silent."""

import socket
import threading
import time
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]  # (name, type) → records
WORLD: Zone = {(".", "NS"): ["a.root-servers.example."]}


class NameServer:
    """Use as a context manager. `asked` holds the questions as (name, type), `heard` when each came."""

    def __init__(self, zone: Zone, *, silent: bool = False) -> None:
        self.zone, self.silent = zone, silent
        self.asked: list[tuple[str, str]] = []
        self.heard: list[float] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> "NameServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()

    def serve(self) -> None:
        while True:
            packet, client = self.socket.recvfrom(4096)
            if not packet:
                return
            answer = self.answer(dns.message.from_wire(packet))
            if not self.silent:
                self.socket.sendto(answer.to_wire(), client)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".") or ".", dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        self.heard.append(time.monotonic())
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if records := self.zone.get((name, kind)):
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
