"""MIME bytes by the mail standards: 7-bit, CRLF, lines of at most 76 octets in the body, one of each header.

The standard library's `EmailMessage` encodes long URLs as words and loses blanks in non-ASCII subjects, so
headers are written here, each by its own rule. Slots stay in the bytes as marks (see `slots`).
"""

import re
from email import quoprimime
from email.header import Header
from email.utils import parseaddr
from hashlib import sha256

from mailer.config import Config
from mailer.letters.render import Words
from mailer.letters.slots import MARK, slot
from mailer.links import Links

CRLF = "\r\n"
LINE = 76  # RFC 2045 6.7, and RFC 2047 2 for header lines with encoded-words
HEADER_MARKS = re.compile(r"\x00[a-z_]+\x00|\r\n(?=[ \t])")  # slots, and our own folds
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")


def build(words: Words, headers: list[str]) -> bytes:
    """A whole message, HTML last (RFC 2046 5.1.4: the best version last). Raises ValueError for a NUL in the words,
    and for a control character in a header, wherever it came from."""
    for header in headers:
        clean(HEADER_MARKS.sub("", header))
    if "\0" in words.text + words.html:
        raise ValueError("a letter can't hold a NUL")
    boundary = "=_" + sha256((words.text + words.html).encode()).hexdigest()[:32]
    part = f"Content-Type: text/%s; charset=utf-8{CRLF}Content-Transfer-Encoding: quoted-printable{CRLF}{CRLF}"
    lines = [
        *headers,
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;{CRLF} boundary="{boundary}"',
        "",
        f"--{boundary}",
        part % "plain" + quoted_printable(words.text),
        f"--{boundary}",
        part % "html" + quoted_printable(words.html),
        f"--{boundary}--",
        "",
    ]
    return CRLF.join(lines).encode("ascii")


def common_headers(words: Words, sender: str, code: str) -> list[str]:
    return [
        f"From: {mailbox('From', sender)}",
        f"To: {header_slot('to')}",
        unstructured("Subject", words.subject),
        f"Date: {header_slot('date')}",
        f"Message-ID: <{header_slot('message_id')}@{domain(sender)}>",
        f"Content-Language: {code}",
    ]


def account_headers(words: Words, code: str, config: Config) -> list[str]:
    """A letter that one person caused: no list headers, and no automatic answer wanted (RFC 3834)."""
    return [
        *common_headers(words, with_name(config.account_sender, config), code),
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
    ]


def digest_headers(words: Words, code: str, digest_slug: str, config: Config, links: Links) -> list[str]:
    """A letter to everybody on the list: RFC 2369, 2919 and 8058."""
    clean(config.list_owner)
    leave = links.page(f"/unsubscribe/{header_slot('unsubscribe')}", lang=code)
    list_id = f"{config.list_slug}.{domain(config.sender)}"
    sender_id = config.list_slug.replace("-", "")[:15].ljust(5, "0")
    return [
        *common_headers(words, with_name(config.sender, config), code),
        f"List-Id: {fold('List-Id', phrase('List-Id', config.list_name), list_id)}",
        f"List-Unsubscribe: <{leave}>,{CRLF} <{mail_to_leave(config)}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"List-Help: <mailto:{config.owner_address}?subject=help>",
        f"List-Owner: <mailto:{config.owner_address}>",
        f"List-Subscribe: <{links.page('/')}>",
        f"List-Archive: <{links.page('/archive')}>",
        "List-Post: NO",
        f"Feedback-ID: {digest_slug}:{config.list_slug}:digest:{sender_id}",
        "Precedence: bulk",
        "X-Auto-Response-Suppress: OOF, AutoReply",
    ]


def mail_to_leave(config: Config) -> str:
    """Where whoever leaves by mail writes to: the intake, which needs no more than the address, or a person."""
    if not config.intake_address:
        return f"mailto:{config.owner_address}?subject=unsubscribe%20{header_slot('unsubscribe')}"
    local, _, host = config.intake_address.partition("@")
    return f"mailto:{local}+{header_slot('unsubscribe_by_mail')}@{host}?subject=unsubscribe"


def header_slot(name: str) -> str:
    slot(name)  # refuses a name that no slot has
    return f"\0{name}\0"


def with_name(sender: str, config: Config) -> str:
    """A bare sender address gets the list's name, so that inboxes show a name."""
    clean(sender)  # parseaddr would cut it at a line break without a word
    return sender if parseaddr(sender)[0] else f"{quoted(config.list_name)} <{sender}>"


def domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2]


def mailbox(header: str, sender: str) -> str:
    name, address = parseaddr(sender)
    return fold(header, phrase(header, name), clean(address))


def fold(header: str, words: str, inner: str) -> str:
    """`words <inner>` on one line if it is short enough, else on two."""
    gap = " " if len(header) + len(words) + len(inner) + 5 <= LINE else f"{CRLF} "
    return f"{words}{gap}<{inner}>"


def phrase(header: str, text: str) -> str:
    """A display name (RFC 5322 3.2.5): as it is, quoted, or in encoded-words."""
    if needs_encoding(text):
        return encoded(header, text)
    return clean(text) if re.fullmatch(r"[\w ]+", text, re.ASCII) else quoted(clean(text))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unstructured(header: str, text: str) -> str:
    """Free text such as a subject (RFC 2047), folded at blanks."""
    if needs_encoding(text):
        return f"{header}: {encoded(header, text)}"
    folded = Header(clean(text), "us-ascii", LINE, header, " ").encode(linesep=CRLF)
    return f"{header}: {folded}"


def needs_encoding(text: str) -> bool:
    """Non-ASCII, text that would be taken for an encoded-word, or a word too long to fold."""
    return not text.isascii() or "=?" in text or any(len(word) > LINE - 16 for word in text.split(" "))


def encoded(header: str, text: str) -> str:
    # The legacy Header class: it keeps every blank and stays within 75 characters a word.
    return Header(clean(text), "utf-8", LINE, header, " ").encode(linesep=CRLF)


def clean(text: str) -> str:
    """Raises ValueError for what would let a header smuggle in another one."""
    if FORBIDDEN.search(text):
        raise ValueError(f"a header can't hold a control character: {text[:60]!r}")
    return text


def quoted_printable(text: str) -> str:
    """RFC 2045 6.7, each slot on a line of its own between soft breaks, so that its length breaks no line rule."""
    pieces = MARK.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    soft = f"={CRLF}"
    return "".join(
        f"{soft}\0{piece}=\0{soft}" if number % 2 else encode_piece(piece) for number, piece in enumerate(pieces)
    )


def encode_piece(text: str) -> str:
    """No line begins with a dot, so a message needs no dot-stuffing, nor with `From `, which mail stores escape."""
    octets = text.encode().decode("latin-1")
    # Three to spare: two for the dot or F that is encoded below, one for the soft break before a slot.
    lines = quoprimime.body_encode(octets, maxlinelen=LINE - 3, eol=CRLF)
    return re.sub(r"(?m)^(\.|F(?=rom ))", lambda found: f"={ord(found[0]):02X}", lines)
