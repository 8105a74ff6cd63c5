"""A second reader of mails, which shares no code with the standard library's: as strict as RFC 5322, 2045 and 2047 let
one be, and no more than our own mails need."""

import re
from base64 import b64decode
from typing import NamedTuple

HEADER = re.compile(r"([!-9;-~]+): ?((?:[^\r\n]|\r\n[ \t])*)\r\n")
WORD = re.compile(r"=\?utf-8\?(?:[bB]\?([A-Za-z0-9+/=]*)|[qQ]\?([!->@-~]*))\?=")
QUOTED = re.compile(rb"(?:[!-<>-~ \t]|=[0-9A-F]{2})*=?")


class Letter(NamedTuple):
    """Headers by lower-case name, as they stand once unfolded; and the parts by their type, decoded."""

    headers: dict[str, str]
    parts: dict[str, str]

    def words(self, name: str) -> str:
        """A header of free text."""
        return decoded_words(self.headers[name])


def read(raw: bytes) -> Letter:
    """Raises ValueError for what is not well-formed."""
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = read_headers(head + b"\r\n")
    kind, boundary = re.fullmatch(r'multipart/alternative;\s+boundary="([^"]{1,70})"()', headers["content-type"]), ""
    if not kind:
        raise ValueError("not a multipart/alternative")
    boundary = kind[1]
    before, *parts, after = re.split(rb"(?:^|\r\n)--%s(?=\r\n|--)" % re.escape(boundary).encode(), body)
    if before or after != b"--\r\n":
        raise ValueError("something before the first part or behind the last")
    return Letter(headers, dict(map(read_part, parts)))


def read_headers(block: bytes) -> dict[str, str]:
    text, found, at = block.decode("utf-8"), dict[str, str](), 0
    while at < len(text):
        match = HEADER.match(text, at)
        if not match or match[1].lower() in found:
            raise ValueError(f"not a header, or one that is there already: {text[at : at + 60]!r}")
        found[match[1].lower()], at = match[2].replace("\r\n", ""), match.end()
    return found


def read_part(octets: bytes) -> tuple[str, str]:
    head, _, body = octets.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = read_headers(head + b"\r\n")
    kind = re.fullmatch(r"(text/[a-z]+); charset=utf-8", headers["content-type"])
    if not kind or headers["content-transfer-encoding"] != "quoted-printable":
        raise ValueError(f"an unknown kind of part: {headers}")
    return kind[1], unquoted(body).decode("utf-8").replace("\r\n", "\n")


def unquoted(body: bytes) -> bytes:
    """RFC 2045 6.7. Blanks at the end of a line may have been added on the way and are dropped."""
    pieces = list[bytes]()
    for line in body.split(b"\r\n"):
        if len(line) > 76 or not QUOTED.fullmatch(line):
            raise ValueError(f"not quoted-printable: {line!r}")
        kept = line.rstrip(b" \t")
        pieces.append(kept[:-1] if kept.endswith(b"=") else kept + b"\r\n")
    whole = b"".join(pieces).removesuffix(b"\r\n")
    return re.sub(rb"=(..)", lambda found: bytes([int(found[1], 16)]), whole)


def decoded_words(text: str) -> str:
    """RFC 2047: blanks between two encoded words are not part of the text. Each word is whole UTF-8."""
    joined = re.sub(r"(\?=)[ \t]+(?==\?)", r"\1", text)
    return WORD.sub(decoded_word, joined)


def decoded_word(found: re.Match[str]) -> str:
    if found[1] is not None:
        return b64decode(found[1], validate=True).decode("utf-8")
    octets = found[2].replace("_", " ").encode()
    return re.sub(rb"=([0-9A-F]{2})", lambda each: bytes([int(each[1], 16)]), octets).decode("utf-8")
