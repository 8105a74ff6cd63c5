"""Checks on lines, octets and size."""

import re
from collections.abc import Iterator

from mailer.letters.lint.mail import LARGEST_MESSAGE, Mail

LONGEST_LINE = 998  # RFC 5322 2.1.1, without CRLF
LONGEST_BODY_LINE = 76  # RFC 2045 6.7


def line_ends(mail: Mail) -> Iterator[str]:
    ends = mail.raw.count(b"\r\n")
    if mail.raw.count(b"\r") > ends or mail.raw.count(b"\n") > ends or b"\0" in mail.raw:
        yield "a bare CR, a bare LF or a NUL"
    elif not mail.raw.endswith(b"\r\n"):
        yield "the last line has no CRLF"
    if b"\r\n.\r\n" in mail.octets or mail.octets.startswith(b".\r\n"):
        yield "a line that is a lone dot, which ends a mail on its way"


def line_lengths(mail: Mail) -> Iterator[str]:
    if max(map(len, mail.octets.split(b"\r\n"))) > LONGEST_LINE:
        yield f"a line is longer than {LONGEST_LINE} octets"
    elif max(map(len, mail.entity.body.split(b"\r\n"))) > LONGEST_BODY_LINE:
        yield f"a body line is longer than {LONGEST_BODY_LINE} octets"


def seven_bit(mail: Mail) -> Iterator[str]:
    """But for the address of the reader, which may be an internationalised one (RFC 6532)."""
    to = re.search(rb"(?m)^To: [^\r\n]*", mail.raw)
    rest = mail.raw.replace(to[0], b"", 1) if to else mail.raw
    if not rest.isascii() or (to and "\ufffd" in to[0].decode("utf-8", "replace")):
        yield "a byte above 127"


def leading_dots(mail: Mail) -> Iterator[str]:
    """Our sender stuffs no dots: the letters it sends have none to be stuffed (RFC 5321 4.5.2)."""
    octets = b"\r\n" + mail.octets
    if octets.count(b"\r\n.") > octets.count(b"\r\n.\r\n"):
        yield "a line begins with a dot"


def message_size(mail: Mail) -> Iterator[str]:
    if len(mail.raw) > LARGEST_MESSAGE:
        yield f"the mail is {len(mail.raw) // 1000} kB, more than {LARGEST_MESSAGE // 1000}: only its beginning is read"
