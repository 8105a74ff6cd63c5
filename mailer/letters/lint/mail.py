"""One mail in the forms that the checks need. It can be made of any bytes: what can't be read is not there."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from mailer.letters.lint.markup import Page, read_page

LARGEST_MESSAGE = 500_000
HEADER = re.compile(r"^([!-9;-~]+):((?:.*\r\n[ \t])*.*)", re.MULTILINE)
DEEPEST = 5
MOST_PARTS = 50


class Kind(StrEnum):
    DIGEST = "digest"
    ACCOUNT = "account"  # a letter that one person caused


class Header(NamedTuple):
    name: str  # in lower case
    raw: str  # as it stands in the bytes, folds and all

    @property
    def value(self) -> str:
        return re.sub(r"\r\n(?=[ \t])", "", self.raw).strip()


@dataclass(frozen=True)
class Entity:
    """A mail, or a part of one (RFC 2045 2.4)."""

    headers: list[Header]
    body: bytes

    @cached_property
    def values(self) -> dict[str, str]:
        """Of the first header of each name."""
        return {each.name: each.value for each in reversed(self.headers)}

    def header(self, name: str) -> str:
        """A header's value, unfolded; empty if there is none."""
        return self.values.get(name.lower(), "")

    @property
    def type(self) -> str:
        return self.header("Content-Type").partition(";")[0].strip().lower() or "text/plain"

    def parameter(self, name: str) -> str:
        found = re.search(rf';\s*{name}\s*=\s*(?:"([^"]*)"|([^\s;]+))', self.header("Content-Type"), re.IGNORECASE)
        return (found[1] or found[2] or "") if found else ""

    @property
    def text(self) -> str:
        """What is UTF-8 is read as that, whatever it says to be: it is hardly ever anything else by chance."""
        octets = self.decoded()
        for charset in ("utf-8", self.parameter("charset")):
            try:
                return octets.decode(charset)
            except (LookupError, ValueError):  # not in it; or there is no such one, or it is not for texts
                continue
        return octets.decode("utf-8", "replace")

    def decoded(self) -> bytes:
        encoding = self.header("Content-Transfer-Encoding").lower()
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        try:
            return binascii.a2b_base64(self.body) if encoding == "base64" else self.body
        except binascii.Error:
            return b""


class Mail:
    """A mail as it would go out, or as a file holds it."""

    def __init__(self, raw: bytes, kind: Kind | None = None) -> None:
        self.raw = raw
        # Whatever the line ends are, the checks of what stands between them go on; of a mail that is too large with
        # its beginning only.
        self.octets = ends_mended(raw[:LARGEST_MESSAGE])
        self.entity = read_entity(self.octets)
        self.kind = kind or (Kind.DIGEST if self.header("List-Id") else Kind.ACCOUNT)

    @property
    def headers(self) -> list[Header]:
        return self.entity.headers

    def header(self, name: str) -> str:
        return self.entity.header(name)

    @cached_property
    def parts(self) -> list[Entity]:
        """The mail itself, then its parts; of one that is too large nothing is read."""
        return list(islice(walk(self.entity), MOST_PARTS)) if len(self.raw) <= LARGEST_MESSAGE else []

    def part(self, kind: str) -> str:
        return next((each.text for each in self.parts if each.type == f"text/{kind}"), "")

    @cached_property
    def plain(self) -> str:
        return self.part("plain")

    @cached_property
    def html(self) -> str:
        return self.part("html")

    @cached_property
    def page(self) -> Page:
        return read_page(self.html)

    @property
    def to(self) -> str:
        """The recipient's address; it may hold more than ASCII (RFC 6532)."""
        value = self.header("To").encode("latin-1").decode("utf-8", "replace")
        return value.rpartition("<")[2].rstrip(">").strip()

    @property
    def sender_domain(self) -> str:
        return self.header("From").rpartition("@")[2].rstrip("> ").lower()

    @property
    def leave_url(self) -> str:
        """The web address to leave by, out of the header; empty if there is none."""
        found = re.search(r"<(https?://[^<>\s]+)>", self.header("List-Unsubscribe"))
        return found[1] if found else ""


def ends_mended(raw: bytes) -> bytes:
    bare = raw.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return bare.replace(b"\n", b"\r\n")


def read_entity(octets: bytes) -> Entity:
    head, _, body = octets.partition(b"\r\n\r\n")
    if octets.startswith(b"\r\n"):
        head, body = b"", octets[2:]
    found = HEADER.finditer(head.decode("latin-1"))
    return Entity([Header(each[1].lower(), each[2]) for each in found], body)


def walk(entity: Entity, depth: int = 0) -> Iterator[Entity]:
    """The entity and all parts in it, in order (RFC 2046 5.1)."""
    yield entity
    boundary = entity.parameter("boundary").encode("latin-1")
    if not (entity.type.startswith("multipart/") and boundary and depth < DEEPEST):
        return
    mark = b"\r\n--" + boundary
    inside = (b"\r\n" + entity.body).split(mark + b"--", 1)[0]
    for part in inside.split(mark)[1:]:
        rest_of_line, _, octets = part.partition(b"\r\n")
        if not rest_of_line.strip(b" \t"):
            yield from walk(read_entity(octets), depth + 1)
