"""A letter's envelope: what a server offers (EHLO keywords), and the commands that make use of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

UNSAFE = re.compile(r"[\x00-\x20<>\x7f-\xa0\u2028\u2029]")
TO_XTEXT = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 3461 4: printable ASCII but + and =; and \ for RFC 6533


@dataclass(frozen=True)
class Features:
    """What a server offers in its EHLO reply, as far as it is of use to us."""

    pipelining: bool = False  # RFC 2920
    utf8: bool = False  # SMTPUTF8, RFC 6531
    dsn: bool = False  # RFC 3461
    size: int | None = None  # RFC 1870: the largest message in octets; None: not offered, 0: no limit told
    letters: int | None = None  # MAILMAX of LIMITS, RFC 9422

    @classmethod
    def read(cls, keywords: Mapping[str, str]) -> "Features":
        """Of lower-case keywords with their parameters. A parameter that makes no sense was not offered."""
        size, limits = keywords.get("size"), keywords.get("limits", "")
        most = re.search(r"\bMAILMAX=([1-9]\d{0,8})\b", limits, re.IGNORECASE)
        return cls(
            pipelining="pipelining" in keywords,
            utf8="smtputf8" in keywords and "8bitmime" in keywords,
            dsn="dsn" in keywords,
            size=None if size is None or not re.fullmatch(r"\d{0,18}", size, re.ASCII) else int(size or 0),
            letters=int(most[1]) if most else None,
        )


class Parcel(NamedTuple):
    """A letter ready for the wire. `message` has CRLF lines, none of which begins with a dot; `key` is the caller's."""

    key: Any
    sender: str
    recipient: str
    message: bytes
    envelope_id: str = ""


def impossible(parcel: Parcel, features: Features) -> str | None:
    """Why this server can't take this letter, if it can't."""
    if UNSAFE.search(parcel.sender + parcel.recipient):
        return "not sent: an address holds a character that no envelope can"
    if not features.utf8 and not (parcel.recipient.isascii() and parcel.sender.isascii()):
        return "not sent: 5.6.7 the mail server takes no internationalised address (SMTPUTF8)"
    if features.size and len(parcel.message) > features.size:
        return f"not sent: 5.3.4 {len(parcel.message)} octets, and the mail server takes {features.size}"
    return None


def mail_command(parcel: Parcel, features: Features) -> str:
    words = f"MAIL FROM:<{parcel.sender}>"
    if features.size is not None:
        words += f" SIZE={len(parcel.message)}"
    if not (parcel.recipient.isascii() and parcel.sender.isascii()):
        words += " BODY=8BITMIME SMTPUTF8"
    if features.dsn and parcel.envelope_id:
        words += f" RET=HDRS ENVID={xtext(parcel.envelope_id)}"
    return words + "\r\n"


def rcpt_command(parcel: Parcel, features: Features) -> str:
    notify = f" NOTIFY=FAILURE ORCPT={original_recipient(parcel.recipient)}" if features.dsn else ""
    return f"RCPT TO:<{parcel.recipient}>{notify}\r\n"


def xtext(words: str) -> str:
    """RFC 3461 4."""
    return TO_XTEXT.sub(lambda found: "".join(f"+{octet:02X}" for octet in found[0].encode()), words)


def original_recipient(address: str) -> str:
    """The ORCPT parameter: RFC 3461 4.2, and RFC 6533 3 for an address that is not ASCII."""
    if address.isascii():
        return f"rfc822;{xtext(address)}"
    return "utf-8;" + TO_XTEXT.sub(lambda found: "".join(f"\\x{{{ord(letter):X}}}" for letter in found[0]), address)
