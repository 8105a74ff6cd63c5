"""Checks on the headers that every letter has."""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from unicodedata import is_normalized

from mailer.letters.lint.mail import Header, Kind, Mail

ONCE = ("from", "to", "date", "message-id", "subject", "mime-version", "content-type")
LIST = (
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "list-help", "list-owner", "list-subscribe"),
    *("list-archive", "list-post"),
)
ALLOWED = {
    *(*ONCE, *LIST, "content-language", "content-transfer-encoding", "auto-submitted", "x-auto-response-suppress"),
    *("precedence", "feedback-id", "reply-to", "sender", "cc", "bcc", "cfbl-address", "cfbl-feedback-id"),
}
# What mail servers add on the way, so that a letter saved from a mailbox can be checked.
ON_THE_WAY = re.compile(
    r"received|return-path|delivered-to|x-original-to|envelope-to|dkim-signature|authentication-results"
    r"|received-spf|arc-[a-z-]+|x-received|x-spam-[a-z-]+|x-g(?:oogle|m)-[a-z-]+"
)
STRUCTURED = ("message-id", "feedback-id", *(name for name in LIST if name != "list-id"))
FREE_MAIL = {
    *("gmail.com", "googlemail.com", "yahoo.com", "outlook.com", "hotmail.com", "live.com", "icloud.com", "aol.com"),
    *("gmx.com", "gmx.de", "gmx.net", "mail.ru", "yandex.ru", "qq.com", "163.com", "126.com", "proton.me"),
}
WORD = re.compile(r"=\?([^?\s]+)\?([bqBQ])\?([^?\s]*)\?=")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d \+0000"
)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_LOCAL, LONGEST_DOMAIN = 64, 255  # octets, RFC 5321 4.5.3.1


def header_counts(mail: Mail) -> Iterator[str]:
    counts = Counter(each.name for each in mail.headers)
    yield from (f"{name} is missing" for name in ONCE if not counts[name])
    yield from (f"{name} stands {count} times" for name, count in counts.items() if count > 1 and name in ALLOWED)
    if counts["bcc"]:
        yield "there is a Bcc"
    if counts["sender"] and mail.header("Sender") == mail.header("From"):
        yield "Sender says what From says"


def one_recipient(mail: Mail) -> Iterator[str]:
    if mail.header("To") and mail.header("To").count("@") != 1:
        yield "To does not hold exactly one address"
    if mail.header("Cc"):
        yield "there is a Cc"


def one_sender(mail: Mail) -> Iterator[str]:
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", mail.header("From"))
    if unquoted and len(re.findall(r"[^\s<>,;:()@]+@[^\s<>,;:()@]+", unquoted)) != 1:
        yield "From does not hold exactly one address"
    elif mail.sender_domain in FREE_MAIL:
        yield f"From is at {mail.sender_domain}, where anybody can have an address"


def date(mail: Mail) -> Iterator[str]:
    value = mail.header("Date")
    if value and not is_date(value):
        yield "Date is not a date in UTC, written +0000"


def is_date(value: str) -> bool:
    found = DATE.fullmatch(value)
    try:
        return found is not None and DAYS[parsedate_to_datetime(value).weekday()] == found[1]
    except ValueError:
        return False


def message_id(mail: Mail) -> Iterator[str]:
    value = mail.header("Message-ID")
    if value and "=?" not in value:
        found = re.fullmatch(r"<[^\s<>@]+@([^\s<>@]+)>", value)
        if not found or found[1].lower() != mail.sender_domain:
            yield "Message-ID is not one id in the sender's domain"


def encoded_words(mail: Mail) -> Iterator[str]:
    for header in mail.headers:
        words = list(WORD.finditer(header.raw))
        if any(len(word[0]) > 75 for word in words):
            yield f"{header.name} holds an encoded-word of more than 75 characters"
        elif "?==?" in header.raw:
            yield f"{header.name} holds two encoded-words that touch"
        elif any(decoded(word) is None for word in words):
            yield f"{header.name} holds an encoded-word that is no whole text"


def decoded(word: re.Match[str]) -> str | None:
    charset, kind, text = word.groups()
    try:
        octets = a2b_base64(text) if kind in "bB" else a2b_qp(text, header=True)
        return octets.decode(charset.partition("*")[0])
    except (Error, LookupError, ValueError):
        return None


def structured_headers(mail: Mail) -> Iterator[str]:
    for header in mail.headers:
        if header.name in STRUCTURED and "=?" in header.raw:
            yield f"{header.name} holds an encoded-word"
        elif header.name in STRUCTURED and re.search(r"<[^>]*\r\n", header.raw):
            yield f"{header.name} is folded inside an address"


def control_characters(mail: Mail) -> Iterator[str]:
    yield from (f"{header.name} holds a control character" for header in mail.headers if holds_control(header))


def holds_control(header: Header) -> bool:
    """As it stands, or in an encoded-word."""
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", header.value):
        return True
    return any(CONTROLS.search(decoded(word) or "") for word in WORD.finditer(header.raw))


def domains(mail: Mail) -> Iterator[str]:
    for name, address in (("To", mail.to), ("From", f"@{mail.sender_domain}")):
        if not all(map(is_label, address.rpartition("@")[2].split("."))):
            yield f"the domain in {name} is not written by IDNA 2008"


def is_label(label: str) -> bool:
    """Whether it is ASCII, and if it stands for more, then for letters in their normal form (RFC 5890 2.3.2.1)."""
    if not label.lower().startswith("xn--"):
        return label.isascii()
    try:
        meant = label[4:].encode("ascii").decode("punycode")
    except ValueError:
        return False
    return not meant.isascii() and is_normalized("NFC", meant) and meant == meant.lower()


def address_form(mail: Mail) -> Iterator[str]:
    local, _, domain = mail.to.rpartition("@")
    if len(local.encode()) > LONGEST_LOCAL or len(domain.encode()) > LONGEST_DOMAIN:
        yield "the address in To is too long"
    if local.startswith('"') or domain.startswith("[") or not is_normalized("NFC", local):
        yield "the address in To is of a kind that sign-ups refuse"


def content_language(mail: Mail) -> Iterator[str]:
    said, pages = mail.header("Content-Language"), mail.page.named("html")
    if not said:
        yield "Content-Language is missing"
    elif pages and (meant := pages[0].attributes.get("lang", said)) != said:
        yield f"Content-Language is {said}, the HTML says {meant}"


def no_answers(mail: Mail) -> Iterator[str]:
    if mail.kind is Kind.ACCOUNT and mail.header("Auto-Submitted") != "auto-generated":
        yield "Auto-Submitted is not auto-generated"


def bulk(mail: Mail) -> Iterator[str]:
    if mail.kind is Kind.ACCOUNT:
        if mail.header("Precedence"):
            yield "a letter to one person has a Precedence"
        return
    if mail.header("Precedence") != "bulk":
        yield "Precedence is not bulk"
    suppressed = {each.strip() for each in mail.header("X-Auto-Response-Suppress").split(",")}
    if not suppressed >= {"OOF", "AutoReply"} and "All" not in suppressed:
        yield "X-Auto-Response-Suppress does not say OOF, AutoReply"


def known_headers(mail: Mail) -> Iterator[str]:
    names = dict.fromkeys(each.name for each in mail.headers)
    yield from (f"{name} is not a header of ours" for name in names if not is_known(name))


def is_known(name: str) -> bool:
    return name in ALLOWED or bool(ON_THE_WAY.fullmatch(name))


def complaint_address(mail: Mail) -> Iterator[str]:
    """RFC 9477, which nobody has to follow: but a header that is there has to be right."""
    value = mail.header("CFBL-Address")
    if value:
        found = re.fullmatch(r"[^\s<>@;]+@([^\s<>@;]+)(?:;\s*report=x?arf)?", value)
        if not found or found[1].lower() != mail.sender_domain:
            yield "CFBL-Address is not an address in the sender's domain"
