"""The demo's mail server: takes every mail over real SMTP and keeps it in memory, to be read in the demo's mailbox."""

import socket
import threading
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from aiosmtpd.controller import Controller

from mailer.db import now


@dataclass(frozen=True)
class Caught:
    """One mail as it came over the wire."""

    number: int
    at: datetime
    recipient: str
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)  # noqa: S101 - what policy.default makes
        return message

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, kind: str) -> str:
        """The text of the `plain` or the `html` part."""
        found = self.message.get_body((kind,))
        return str(found.get_content()) if found else ""


class Catcher:
    """An SMTP server on a free loopback port. Use as a context manager."""

    def __init__(self) -> None:
        self.mails: list[Caught] = []
        self.lock = threading.Lock()
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def port(self) -> int:
        return int(self.controller.port)

    def __enter__(self) -> "Catcher":
        self.controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        with self.lock:
            for recipient in envelope.rcpt_tos:
                self.mails.append(Caught(len(self.mails) + 1, now(), recipient, envelope.original_content))
        return "250 2.0.0 caught"

    def find(self, number: int) -> Caught | None:
        return next((mail for mail in self.mails if mail.number == number), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
