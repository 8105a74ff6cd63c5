"""The bytes of a mail, from words and headers to one person's copy, held against the standards of mail."""

import base64
import quopri
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from html import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.config import Config
from mailer.letters import lint
from mailer.letters.edition import Template
from mailer.letters.message import account_headers, build, digest_headers, phrase, unstructured
from mailer.letters.render import Words
from mailer.letters.slots import MAKERS, Recipient, slot
from mailer.links import Links

CONFIG = Config(mail_default_sender="Frontier <news@lists.example.org>", list_owner="owner@example.org")
LINKS = Links("https://lists.example.org", ("s" * 40,))
ADA = Recipient("ada@example.net", "q7Yx-_0123456789", 1, datetime(2026, 3, 1, 12, tzinfo=UTC), "en", "f" * 64)
BEN = ADA._replace(email="ben@example.com", uid="b" * 16)
LANGUAGES = ("en", "fr", "es", "ru", "ar", "zh")
LEAVE = LINKS.page(f"/unsubscribe/{slot('unsubscribe')}", lang="en")
WORDS = Words("News", f"Hello.\n{LEAVE}\n", f'<p>Hello.</p><a href="{escape(LEAVE)}">Leave</a>\n')


def edition(
    words: Words = WORDS, config: Config = CONFIG, links: Links = LINKS, code: str = "en", slug: str = "2026-03"
) -> bytes:
    return build(words, digest_headers(words, code, slug, config, links))


def copy(content: bytes, person: Recipient = ADA, links: Links = LINKS) -> bytes:
    return Template(content).splice(person, links)


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(raw: bytes, kind: str) -> str:
    body = parsed(raw).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def raw_header(raw: bytes, name: str) -> str:
    """A header's value as it stands in the bytes, folds and all."""
    found = re.findall(rf"(?m)^{name}: ((?:.*\r\n[ \t])*.*)\r$", raw.partition(b"\r\n\r\n")[0].decode("ascii") + "\r\n")
    assert len(found) == 1
    return str(found[0])


OF_TEMPLATES = {"D-11", "D-19", "D-31", "D-189"}  # what templates see to, which these small letters are without


def faults(raw: bytes) -> list[str]:
    return [str(fault) for fault in lint.check(raw) if fault.rule not in OF_TEMPLATES]


# Headers.

SCRIPTS = (
    "abc XYZ0123,;:.",
    "éàçœ«»’ñ¿",
    "Привет, мир",
    "مرحبا بالعالم؟",
    "世界知识产权组织。",
    "🎉👩🏽‍💻",
    '"\\()<>@=?_',
)
BLANKS = st.text(" ", min_size=1, max_size=4)
WORD = st.one_of(*(st.text(script.replace(" ", ""), min_size=1, max_size=30) for script in SCRIPTS))
SUBJECTS = st.lists(st.tuples(WORD, BLANKS), min_size=1, max_size=25).map(
    lambda pairs: "".join(word + blanks for word, blanks in pairs).strip()
)


def unfolded(value: str) -> str:
    return re.sub(r"\r\n(?=[ \t])", "", value)


def decoded_by_hand(value: str) -> str:
    """RFC 2047 without the standard library: words parted by blanks, each decoding by itself."""
    words = r"=\?utf-8\?([bqBQ])\?([^? ]*)\?="
    if not re.fullmatch(rf"{words}( +{words})*", value):
        return value
    decoders = {"b": base64.b64decode, "q": lambda text: quopri.decodestring(text, header=True)}
    return "".join(decoders[kind.lower()](text.encode()).decode("utf-8") for kind, text in re.findall(words, value))


def name_by_hand(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else decoded_by_hand(value)


def assert_well_folded(header: str) -> None:
    assert all(len(line) <= 76 and line.strip() for line in header.split("\r\n"))
    assert all(len(word) <= 75 for word in re.findall(r"=\?[^ ]*?\?=", header))
    assert "?==?" not in header


@given(SUBJECTS)
@example("a  b   c" * 30)
@example("x" * 200)
@example("=?utf-8?b?SGVsbG8=?=")
@example("Re: =?utf-8?q?not?= =?encoded?=")
def test_a_subject_arrives_as_it_was_written(subject: str) -> None:
    """D-12, D-15: read by two decoders that have nothing in common."""
    header = unstructured("Subject", subject)
    value = unfolded(header.removeprefix("Subject: "))
    assert header.isascii()
    assert_well_folded(header)
    assert str(make_header(decode_header(value))) == subject
    assert decoded_by_hand(value) == subject


@given(SUBJECTS)
@example("=?utf-8?b?SGVsbG8=?=")
@example('News, "Inc." \\ (Geneva)')
def test_a_display_name_arrives_as_it_was_written(name: str) -> None:
    header = phrase("From", name)
    value = unfolded(header)
    assert name_by_hand(value) == name
    assert header.isascii()
    assert re.fullmatch(r'[\w ]+|"([^"\\]|\\.)*"|=\?utf-8\?.*\?=', value, re.ASCII), "an atom, quoted, or encoded"


@pytest.mark.parametrize("name", ["Новости", "=?utf-8?q?x?=", 'News, "Inc."', "最新" * 40, "News " * 30 + "!"])
def test_the_lists_name_is_the_senders_and_stands_before_the_lists_id(name: str) -> None:
    raw = copy(edition(config=Config(list_name=name, mail_default_sender="news@lists.example.org")))
    assert faults(raw) == []
    for header, inner in (("From", "news@lists.example.org"), ("List-Id", "frontier-technologies.lists.example.org")):
        value = unfolded(raw_header(raw, header))
        assert name_by_hand(value.removesuffix(f" <{inner}>")) == name
        assert value.endswith(f" <{inner}>")


def test_a_digest_has_each_of_its_headers_once_and_no_other() -> None:
    once = "From To Subject Date Message-ID Content-Language MIME-Version Content-Type Feedback-ID Precedence"
    lists = "Id Unsubscribe Unsubscribe-Post Help Owner Subscribe Archive Post"
    names = [*once.split(), "X-Auto-Response-Suppress", *(f"List-{name}" for name in lists.split())]
    assert Counter(parsed(copy(edition())).keys()) == Counter(names)


def test_a_letter_to_one_person_says_that_a_machine_wrote_it_and_is_of_no_list() -> None:
    config = replace(CONFIG, mail_account_sender="Accounts <accounts@lists.example.org>")
    raw = copy(build(WORDS, account_headers(WORDS, "fr", config)))
    message = parsed(raw)
    assert faults(raw) == []
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "Accounts <accounts@lists.example.org>"
    assert not [name for name in message if name.startswith(("List-", "Precedence", "Feedback"))]


def test_every_header_of_a_list_says_where_to_go() -> None:
    raw = copy(edition(code="fr", slug="2026-03-news"))
    token = LINKS.unsubscribe_token(ADA.uid, 1)
    assert raw_header(raw, "List-Unsubscribe") == (
        f"<https://lists.example.org/unsubscribe/{token}?lang=fr>,\r\n"
        f" <mailto:owner@example.org?subject=unsubscribe%20{token}>"
    )
    assert raw_header(raw, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert raw_header(raw, "List-Id") == "Frontier Technologies <frontier-technologies.lists.example.org>"
    assert raw_header(raw, "List-Owner") == "<mailto:owner@example.org>"
    assert raw_header(raw, "List-Help").startswith("<mailto:owner@example.org?")
    assert raw_header(raw, "List-Archive") == "<https://lists.example.org/archive>"
    assert raw_header(raw, "List-Post") == "NO"
    assert raw_header(raw, "Content-Language") == "fr"
    assert re.fullmatch(r"2026-03-news:[\w-]+:digest:[a-z0-9]{5,15}", raw_header(raw, "Feedback-ID"))


def test_who_leaves_by_mail_writes_to_the_intake_if_there_is_one() -> None:
    """D-30"""
    raw = copy(edition(config=replace(CONFIG, intake_address="unsubscribe@lists.example.org")))
    local = f"unsubscribe+{LINKS.mail_token(ADA.uid, 1)}"
    leave = f"<https://lists.example.org/unsubscribe/{LINKS.unsubscribe_token(ADA.uid, 1)}?lang=en>"
    value = f"{leave},\r\n <mailto:{local}@lists.example.org?subject=unsubscribe>"
    assert raw_header(raw, "List-Unsubscribe") == value
    assert len(local) == 64, "of 64 octets, RFC 5321 4.5.3.1.1"
    assert faults(raw) == []


def test_a_long_address_stands_in_its_header_byte_for_byte() -> None:
    """D-13: receivers hide the one-click button behind an encoded or folded one."""
    links = Links("https://lists.example.org/" + "x" * 200, ("s" * 40,))
    words = replace(WORDS, text=WORDS.text.replace(LINKS.base_url, links.base_url))
    raw = copy(edition(replace(words, html=words.text), links=links), links=links)
    token = links.unsubscribe_token(ADA.uid, 1)
    url = f"{links.base_url}/unsubscribe/{token}?lang=en"
    value = f"<{url}>,\r\n <mailto:owner@example.org?subject=unsubscribe%20{token}>"
    assert f"\r\nList-Unsubscribe: {value}\r\n".encode() in raw
    assert f"\r\nList-Archive: <{links.base_url}/archive>\r\n".encode() in raw
    assert faults(raw) == []


def test_the_date_is_that_of_the_ledger_in_utc() -> None:
    raw = copy(edition())
    assert raw_header(raw, "Date") == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert parsedate_to_datetime(raw_header(raw, "Date")) == ADA.created_at


def test_a_message_id_is_one_persons_and_the_same_at_every_attempt() -> None:
    people = [
        ADA,
        BEN,
        ADA._replace(edition_sha256="e" * 64),
        ADA._replace(created_at=datetime(2027, 1, 1, tzinfo=UTC)),
    ]
    ids = [raw_header(copy(edition(), person), "Message-ID") for person in people]
    assert len(set(ids)) == len(people)
    assert all(re.fullmatch(r"<[0-9a-f]{32}@lists\.example\.org>", each) for each in ids)
    assert copy(edition()) == copy(edition())


def test_a_copy_names_nobody_but_its_reader() -> None:
    content = edition()
    for person, other in ((ADA, BEN), (BEN, ADA)):
        raw = copy(content, person)
        assert raw_header(raw, "To") == person.email
        assert other.email.encode() not in raw
        assert raw.count(person.email.encode()) == 1


SMUGGLED = ["\r\nBcc: all@example.org", "\n", "\r", "\0", "\x1f", "\x7f", "\x85", "\u2028"]
SOURCES = {
    "subject": lambda bad: edition(replace(WORDS, subject=f"News{bad}")),
    "list_name": lambda bad: edition(config=replace(CONFIG, list_name=f"News{bad}")),
    "list_slug": lambda bad: edition(config=replace(CONFIG, list_slug=f"news{bad}")),
    "sender's name": lambda bad: edition(config=replace(CONFIG, mail_default_sender=f"News{bad} <news@example.org>")),
    "sender's address": lambda bad: edition(config=replace(CONFIG, mail_default_sender=f"N <news@example.org{bad}>")),
    "list_owner": lambda bad: edition(config=replace(CONFIG, list_owner=f"owner@example.org{bad}")),
    "base_url": lambda bad: edition(links=Links(f"https://example.org/{bad}", ("s" * 40,))),
    "language": lambda bad: edition(code=f"en{bad}"),
    "digest's slug": lambda bad: edition(slug=f"2026{bad}"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_header_source_can_smuggle_in_a_control_character(source: str) -> None:
    """D-14."""
    for bad in SMUGGLED:
        with pytest.raises(ValueError, match=r"."):
            SOURCES[source](bad)


def test_an_encoded_line_break_in_a_subject_is_only_text() -> None:
    assert parsed(copy(edition(replace(WORDS, subject="a%0d%0aBcc: b"))))["Subject"] == "a%0d%0aBcc: b"


# Bodies.

ODD = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\ufeff", " ", "\t", "  \n", "\t\r\n", ".", "..\n"]
MARKS = [
    slot(name) for name in ("to", "date", "unsubscribe", "confirm", "asked_at", "confirm_expires_at", "message_id")
]
PIECES = st.one_of(
    st.sampled_from(
        [*ODD, *MARKS, "\n.\n", "\r.\r", "From ", "\nFrom me", "=", "=20\n", "a & b", "--=_", "é" * 80, "x" * 5000]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ue000\ue001&"), max_size=100),
)
BODIES = st.lists(PIECES, max_size=20).map("".join)


def as_read(source: str) -> str:
    """What Ada has to see where `source` was written."""
    for name, make in MAKERS.items():
        source = source.replace(slot(name), make(ADA, LINKS))
    return source.replace("\r\n", "\n").replace("\r", "\n")


def letter(body: str) -> tuple[Words, bytes]:
    """A digest that holds `body` in both its parts, and Ada's copy of it."""
    words = Words("News", f"{body}\n{LEAVE}", f'<a href="{escape(LEAVE)}">Leave</a><p>{escape(body)}')
    return words, copy(edition(words))


@given(BODIES)
def test_any_body_arrives_as_it_was_written_in_bytes_without_a_fault(body: str) -> None:
    """D-1, D-2, D-3, D-10, D-37."""
    words, raw = letter(body)
    assert part(raw, "plain") == as_read(words.text)
    assert part(raw, "html") == as_read(words.html)
    assert faults(raw) == []
    assert re.search(rb"(?m)^(\.|From )", raw) is None


@pytest.mark.parametrize("start", [".", "From ", "é", "x", "=", ". é"])
@pytest.mark.parametrize("end", ["", " ", "\t", "é", *MARKS[:2]])
def test_no_length_of_a_line_breaks_a_rule(start: str, end: str) -> None:
    words, raw = letter("\n".join(start + "a" * length + end for length in range(60, 160)))
    assert part(raw, "plain") == as_read(words.text)
    assert faults(raw) == []


def test_a_letter_with_a_nul_is_not_built() -> None:
    for words in (replace(WORDS, text="a\0b"), replace(WORDS, html="a\0b")):
        with pytest.raises(ValueError, match="NUL"):
            edition(words)


# Slots.


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("code", LANGUAGES)
def test_every_slot_has_a_value_in_every_language(name: str, code: str) -> None:
    person = ADA._replace(language=code)
    raw = copy(edition(replace(WORDS, text=f"<{slot(name)}>\n{WORDS.text}")), person)
    assert part(raw, "plain").startswith(f"<{MAKERS[name](person, LINKS)}>\n")
    assert faults(raw) == []


def test_a_slot_that_does_not_exist_can_not_be_put_into_a_letter() -> None:
    with pytest.raises(LookupError):
        slot("password")


@pytest.mark.parametrize("email", ["a\r\nBcc: b@example.org", "a\0@example.org", "<a@example.org>"])
def test_a_value_that_could_break_a_letter_is_not_spliced(email: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        copy(edition(), ADA._replace(email=email))


def test_the_longest_address_fits() -> None:
    longest = f"{'x' * 64}@{'a' * 63}.{'b' * 63}.{'c' * 57}.org"
    raw = copy(edition(replace(WORDS, text=f"{slot('to')}\n{WORDS.text}")), ADA._replace(email=longest))
    assert (raw_header(raw, "To"), faults(raw)) == (longest, [])
    assert part(raw, "plain").splitlines()[0] == longest
