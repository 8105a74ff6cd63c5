"""What matters of a mail that came in. It can be made of any bytes: what can't be read is not there."""

import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header

KEPT = 256 * 1024  # octets of a mail's beginning, where its headers are
LONGEST_SUBJECT = 1000
NULL_SENDER = "<>"  # of what no person wrote (RFC 5321 4.5.5)
END_OF_HEADERS = re.compile(rb"\n\r?\n")
HEADER = re.compile(r"^([!-9;-~]+):((?:.*\n[ \t])*.*)", re.MULTILINE)
# Where mail servers write down to whom they deliver, then where the sender did.
ADDRESSED = ("x-original-to", "delivered-to", "envelope-to", "to", "cc")


@dataclass(frozen=True)
class Incoming:
    """`addressed`: whatever may hold the address it was sent to. `is_automatic`: whether no person wrote it."""

    addressed: tuple[str, ...]
    subject: str
    is_automatic: bool


def read(octets: bytes, sender: str = "") -> Incoming:
    """A mail, or its beginning; `sender` is that of the envelope, if it is known."""
    head = END_OF_HEADERS.split(b"\n" + octets[:KEPT], maxsplit=1)[0]
    headers: dict[str, list[str]] = {}
    for name, value in HEADER.findall(head.decode("latin-1")):
        headers.setdefault(name.lower(), []).append(re.sub(r"\r?\n(?=[ \t])", "", value).strip())
    return Incoming(
        tuple(value for name in ADDRESSED for value in headers.get(name, ())),
        decoded(headers.get("subject", [""])[0][:LONGEST_SUBJECT]),
        NULL_SENDER in (sender, *headers.get("return-path", ())) or says_so(headers),
    )


def decoded(value: str) -> str:
    """Without encoded-words (RFC 2047), if they can be read."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value


def says_so(headers: dict[str, list[str]]) -> bool:
    """Whether its headers say that a machine wrote it (RFC 3834 5)."""
    submitted = [re.split(r"[\s;(]", value.lower(), maxsplit=1)[0] for value in headers.get("auto-submitted", ())]
    precedence = [value.lower() for value in headers.get("precedence", ())]
    return any(word != "no" for word in submitted) or bool({"bulk", "junk", "list"}.intersection(precedence))
