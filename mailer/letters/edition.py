"""An edition's bytes, cut once at its slots. A person's copy is one join."""

import re
import unicodedata

from mailer.letters.message import encode_piece
from mailer.letters.slots import MAKERS, Recipient, message_id
from mailer.links import Links

BREAKING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # not Zs: dates in Russian and French hold no-break spaces
# What nearly all values are: such a one stands for itself in a header, and in quoted-printable on a line of its own.
PLAIN = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]{,71}").fullmatch
PLAIN_IN_HEADER = re.compile(r"[ !#-;=?-~]*").fullmatch
MESSAGE_ID = re.compile(rb"^Message-ID: <\0message_id\0@([^>\r\n]+)>", re.MULTILINE)
ENCODED_WORD = re.compile(r"=\?.*\?=|\?==\?")


class Template:
    """The cut bytes of one edition. `splice` gives the wire bytes of one person's copy: CRLF lines, none of which
    begins with a dot, so they are their own dot-stuffed form (RFC 5321 4.5.2)."""

    def __init__(self, content: bytes) -> None:
        self.parts = content.split(b"\0")
        places: dict[str, tuple[list[int], list[int]]] = {}
        for number, octets in enumerate(self.parts[1::2]):
            name = octets.decode()
            in_header, in_body = places.setdefault(name.removesuffix("="), ([], []))
            (in_body if name.endswith("=") else in_header).append(2 * number + 1)
        self.slots = [(name, MAKERS[name], *where) for name, where in places.items()]

    def splice(self, person: Recipient, links: Links) -> bytes:
        """Raises ValueError for a value that could break the message."""
        parts = self.parts.copy()
        for name, make, in_header, in_body in self.slots:
            value = make(person, links)
            if PLAIN(value):
                for_header = for_body = value.encode()
            else:
                for_header = header_octets(name, value) if in_header else b""
                for_body = body_octets(name, value) if in_body else b""
            for place in in_header:
                parts[place] = for_header
            for place in in_body:
                parts[place] = for_body
        return b"".join(parts)


def message_id_of(content: bytes, person: Recipient, links: Links) -> str:
    """The Message-ID of a person's copy of an edition, without making the copy; empty if the edition has none."""
    found = MESSAGE_ID.search(content)
    return f"<{message_id(person, links)}@{found[1].decode()}>" if found else ""


def header_octets(name: str, value: str) -> bytes:
    """Only the To header may hold more than ASCII: an internationalised address (RFC 6532 3.2). And only it holds words
    that are not of our own making."""
    if name != "to":
        return value.encode("ascii")
    if "=?" in value and ENCODED_WORD.search(value):
        raise ValueError(f"the slot {name} can't hold {value!r}: readers would take it for an encoded-word")
    if not PLAIN_IN_HEADER(value):
        check(name, value, '<>"')
    return value.encode()


def body_octets(name: str, value: str) -> bytes:
    check(name, value, '<>"&')  # it stands in HTML too; & is legal in an address
    return encode_piece(value).encode("ascii")


def check(name: str, value: str, forbidden: str) -> None:
    if any(character in forbidden or unicodedata.category(character) in BREAKING for character in value):
        raise ValueError(f"the slot {name} can't hold {value!r}")
