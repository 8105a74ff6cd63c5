"""An edition's bytes, cut once at its slots. A person's copy is one join."""

import unicodedata

from mailer.letters.message import encode_piece
from mailer.letters.slots import MAKERS, Recipient
from mailer.links import Links

BREAKING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # not Zs: dates in Russian and French hold no-break spaces


class Template:
    """The cut bytes of one edition. `splice` gives the wire bytes of one person's copy: CRLF lines, none of which
    begins with a dot, so they are their own dot-stuffed form (RFC 5321 4.5.2)."""

    def __init__(self, content: bytes) -> None:
        pieces = content.split(b"\0")
        self.literals = pieces[::2]
        self.names = [name.decode() for name in pieces[1::2]]

    def splice(self, person: Recipient, links: Links) -> bytes:
        values = {name: wire(name, person, links) for name in dict.fromkeys(self.names)}
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            parts += (values[name], literal)
        return b"".join(parts)


def wire(name: str, person: Recipient, links: Links) -> bytes:
    """A slot's value as the bytes that stand on the wire. Raises ValueError for one that could break a message."""
    value = MAKERS[name.removesuffix("=")](person, links)
    forbidden = '<>"&' if name.endswith("=") else '<>"'  # a body's slot stands in HTML too; & is legal in an address
    if any(character in forbidden or unicodedata.category(character) in BREAKING for character in value):
        raise ValueError(f"the slot {name} can't hold {value!r}")
    return (encode_piece(value) if name.endswith("=") else value).encode("ascii")
