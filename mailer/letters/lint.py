"""Checks on the real bytes of a mail, each under the name of its requirement. Pure: bytes in, faults out."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

LONGEST_LINE = 998  # RFC 5322 2.1.1, without CRLF
LONGEST_BODY_LINE = 76  # RFC 2045 6.7
LARGEST_MESSAGE = 500_000
ONCE = ("from", "to", "date", "message-id", "subject", "mime-version", "content-type")
ALLOWED = {
    *ONCE,
    *(
        "content-language",
        "auto-submitted",
        "x-auto-response-suppress",
        "precedence",
        "feedback-id",
        "reply-to",
    ),
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "list-help", "list-owner", "list-subscribe"),
    *("list-archive", "list-post"),
}
STRUCTURED = ("list-unsubscribe", "list-archive", "list-help", "list-owner", "message-id", "feedback-id")


@dataclass(frozen=True)
class Fault:
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


@dataclass(frozen=True)
class Mail:
    """One mail in the forms that the checks need: its bytes, its raw header block and what a parser makes of it."""

    raw: bytes
    head: str
    body: bytes
    message: EmailMessage

    def header(self, name: str) -> str:
        """A header's value unfolded, as it stands in the bytes; empty if there is none."""
        found = re.search(rf"(?im)^{name}: ?((?:.*\r\n[ \t])*.*)", self.head)
        return re.sub(r"\r\n(?=[ \t])", "", found[1]).strip() if found else ""

    def part(self, kind: str) -> str:
        found = self.message.get_body((kind,))
        return str(found.get_content()) if found else ""

    @property
    def is_digest(self) -> bool:
        return bool(self.header("List-Id"))


def check(raw: bytes) -> list[Fault]:
    """Every fault of one mail, as it would go out."""
    head, _, body = raw.partition(b"\r\n\r\n")
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 - what policy.default makes
    mail = Mail(raw, head.decode("latin-1") + "\r\n", body, message)
    return [Fault(rule, text) for rule, inspect in CHECKS for text in inspect(mail)]


def line_ends(mail: Mail) -> Iterator[str]:
    if re.search(rb"(?<!\r)\n|\r(?!\n)|\0", mail.raw):
        yield "a bare CR, a bare LF or a NUL"
    if not mail.raw.endswith(b"\r\n"):
        yield "the last line has no CRLF"
    if re.search(rb"(?m)^\.", mail.raw):
        yield "a line begins with a dot"


def line_lengths(mail: Mail) -> Iterator[str]:
    if any(len(line) > LONGEST_LINE for line in mail.raw.split(b"\r\n")):
        yield f"a line is longer than {LONGEST_LINE} octets"
    if any(len(line) > LONGEST_BODY_LINE for line in mail.body.split(b"\r\n")):
        yield f"a body line is longer than {LONGEST_BODY_LINE} octets"


def seven_bit(mail: Mail) -> Iterator[str]:
    """But for the address of the reader, which may be an internationalised one (RFC 6532)."""
    to = re.search(rb"(?m)^To: [^\r\n]*", mail.raw)
    rest = mail.raw.replace(to[0], b"", 1) if to else mail.raw
    if not rest.isascii() or (to and "\ufffd" in to[0].decode("utf-8", "replace")):
        yield "a byte above 127"


def header_counts(mail: Mail) -> Iterator[str]:
    counts = Counter(name.lower() for name in mail.message)
    yield from (f"{name} is missing" for name in ONCE if not counts[name])
    yield from (f"{name} stands {count} times" for name, count in counts.items() if count > 1)


def one_recipient(mail: Mail) -> Iterator[str]:
    if mail.header("To").count("@") != 1:
        yield "To does not hold exactly one address"


def date(mail: Mail) -> Iterator[str]:
    if not re.fullmatch(
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", mail.header("Date")
    ):
        yield "Date is not in UTC, written +0000"


def message_id(mail: Mail) -> Iterator[str]:
    sender_domain = mail.header("From").rpartition("@")[2].rstrip(">")
    if not re.fullmatch(rf"<[\w.-]+@{re.escape(sender_domain)}>", mail.header("Message-ID")):
        yield "Message-ID is not one id in the sender's domain"


def structure(mail: Mail) -> Iterator[str]:
    kinds = [part.get_content_type() for part in mail.message.walk()]
    if kinds != ["multipart/alternative", "text/plain", "text/html"]:
        yield f"the parts are {', '.join(kinds)}"
    elif {part.get_content_charset() for part in mail.message.iter_parts()} != {"utf-8"}:
        yield "a part is not in utf-8"


def text_part(mail: Mail) -> Iterator[str]:
    text, html = mail.part("plain"), mail.part("html")
    linked = set(re.findall(r'href="(https?://[^"]+)"', html))
    yield from (f"the text part lacks {url}" for url in sorted(linked) if url.replace("&amp;", "&") not in text)
    found = set(re.findall(r"&(?:nbsp|zwnj|amp|lt|gt);", text))
    if any(entity.replace("&", "&amp;") not in html for entity in found):  # else the letter is about HTML
        yield "the text part holds an entity"


def encoded_words(mail: Mail) -> Iterator[str]:
    if any(len(word) > 75 for word in re.findall(r"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=", mail.head)):
        yield "an encoded-word is longer than 75 characters"
    if "?==?" in mail.head:
        yield "two encoded-words touch"


def structured_headers(mail: Mail) -> Iterator[str]:
    yield from (f"{name} holds an encoded-word" for name in STRUCTURED if "=?" in mail.header(name))


def list_id(mail: Mail) -> Iterator[str]:
    if mail.is_digest and not re.search(r"<[a-z0-9-]+(\.[A-Za-z0-9-]+)+>$", mail.header("List-Id")):
        yield "List-Id has no identifier like <name.example.org>"


def list_headers(mail: Mail) -> Iterator[str]:
    if mail.is_digest:
        names = ("List-Help", "List-Owner", "List-Archive", "List-Subscribe")
        yield from (f"{name} is missing" for name in names if not mail.header(name).startswith("<"))
        if mail.header("List-Post") != "NO":
            yield "List-Post is not NO"


def one_click(mail: Mail) -> Iterator[str]:
    if not mail.is_digest:
        return
    if not re.fullmatch(r"<https?://[^<>\s]+>, <mailto:[^<>\s]+>", mail.header("List-Unsubscribe")):
        yield "List-Unsubscribe is not one web address, then one mail address"
    if mail.header("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield "List-Unsubscribe-Post is not List-Unsubscribe=One-Click"


def visible_leave(mail: Mail) -> Iterator[str]:
    if mail.is_digest:
        url = mail.header("List-Unsubscribe").partition(">")[0].lstrip("<")
        for kind in ("plain", "html"):
            if not url or url not in mail.part(kind).replace("&amp;", "&"):
                yield f"the {kind} part has no link to leave the list"


def known_headers(mail: Mail) -> Iterator[str]:
    yield from (f"{name} is not a header of ours" for name in mail.message if name.lower() not in ALLOWED)


def size(mail: Mail) -> Iterator[str]:
    if len(mail.raw) > LARGEST_MESSAGE:
        yield f"the mail is larger than {LARGEST_MESSAGE // 1000} kB"


CHECKS: tuple[tuple[str, Callable[[Mail], Iterator[str]]], ...] = (
    ("D-1", line_ends),
    ("D-2", line_lengths),
    ("D-3", seven_bit),
    ("D-4", header_counts),
    ("D-5", one_recipient),
    ("D-8", date),
    ("D-9", message_id),
    ("D-10", structure),
    ("D-11", text_part),
    ("D-12", encoded_words),
    ("D-13", structured_headers),
    ("D-21", list_id),
    ("D-22", list_headers),
    ("D-23", one_click),
    ("D-31", visible_leave),
    ("D-35", known_headers),
    ("D-36", size),
)
