"""A person's copy of an edition: whatever the names, languages and addresses, its bytes hold to the standards of mail,
and two readers that have nothing in common read what was meant."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string, policy
from email.message import EmailMessage
from hashlib import sha256
from html import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import Signer

from mailer import addresses
from mailer.config import Config
from mailer.letters import lint
from mailer.letters.edition import Template
from mailer.letters.message import build, digest_headers
from mailer.letters.render import Words
from mailer.letters.slots import Recipient, message_id, slot
from mailer.links import Claim, Links, Purpose

from . import reader

NEW, OLD = "n" * 40, "o" * 40
CONFIG = Config(mail_default_sender="news@lists.example.org", list_owner="owner@example.org")
LINKS = Links("https://lists.example.org", (NEW, OLD))
ADA = Recipient("ada@example.net", "q7Yx-_0123456789", 1, datetime(2026, 3, 1, 12, tzinfo=UTC), "en", "f" * 64)
LEAVE = slot("unsubscribe")

# What people are called and write, in every language of the lists and some more.
SCRIPTS = (
    "abc XYZ 0-9,;:.!",
    "éàçœ «»’ ñ¿",
    "Привет, мир",
    "مرحبا بالعالم؟",
    "世界知识产权组织。",
    "हिन्दी",
    "🎉👩🏽‍💻",
    '"\\()@=?_&%',
)
TEXT = st.lists(st.one_of(*(st.text(script, min_size=1, max_size=40) for script in SCRIPTS)), min_size=1, max_size=6)
NAMES = TEXT.map(lambda pieces: " ".join("".join(pieces).split())).filter(bool)
LANGUAGES = st.sampled_from(["en", "fr", "es", "ru", "ar", "zh"])
PATHS = st.text("abcxyz0189/-_.~%=", min_size=1, max_size=1500)
URLS = st.builds("https://example.org/{}?a={}&b=2#{}".format, PATHS, PATHS, PATHS)

ATOMS = st.text("abcXYZ019!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
LABELS = st.sampled_from(["example", "xn--hxajbheg2az3al", "xn--fa-hia", "xn--p1ai", "a-b", "3com", "x" * 63])
WORLD = st.text("δοκιμή测试почтаtest019é", min_size=1, max_size=20)
DOTTED = st.lists(ATOMS, min_size=1, max_size=3).map(".".join).filter(lambda local: not re.search(r"=\?|\?=", local))
ADDRESSES = st.builds("{}@{}.org".format, DOTTED, st.lists(LABELS, min_size=1, max_size=3).map(".".join))
INTERNATIONAL = st.builds(
    "{}@{}.gr".format,
    st.lists(WORLD, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["παράδειγμα", "xn--hxajbheg2az3al", "例子"]),
)


def words_of(subject: str, said: str, urls: list[str], links: Links, code: str, *more: str) -> Words:
    """A small digest: a text, some links, the link to leave by, and `more` of which each stands on a line."""
    leave = links.page(f"/unsubscribe/{LEAVE}", lang=code)
    text = "\n".join([said, *urls, *more, leave, ""])
    anchors = "".join(f'<a href="{escape(url)}">link</a>' for url in [*urls, leave])
    return Words(subject, text, f"<p>{escape(said)}</p>{anchors}{''.join(f'<p>{each}</p>' for each in more)}\n")


def copy_of(words: Words, person: Recipient = ADA, links: Links = LINKS, **config: str) -> bytes:
    made = replace(CONFIG, **config)
    return Template(build(words, digest_headers(words, person.language, "2026-03", made, links))).splice(person, links)


def filled(text: str, person: Recipient, links: Links) -> str:
    """What `person` has to read where `text` was written."""
    token = links.unsubscribe_token(person.uid, person.list_id)
    return text.replace(LEAVE, token).replace(slot("to"), person.email)


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_string(raw.decode("utf-8"), policy=policy.default)  # from bytes it takes ASCII only
    assert isinstance(message, EmailMessage)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


def assert_read_as_meant(raw: bytes, words: Words, person: Recipient, links: Links) -> None:
    """By the standard library, and by a reader of our own."""
    message, letter = parsed(raw), reader.read(raw)
    assert [message["To"].addresses[0].addr_spec, letter.headers["to"]] == [person.email] * 2
    assert len(message["To"].addresses) == 1
    assert [str(message["Subject"]), letter.words("subject")] == [words.subject] * 2
    assert [message["Message-ID"], letter.headers["message-id"]] == [
        f"<{message_id(person, links)}@lists.example.org>"
    ] * 2
    leave = filled(links.page(f"/unsubscribe/{LEAVE}", lang=person.language), person, links)
    for value in (str(message["List-Unsubscribe"]), letter.headers["list-unsubscribe"]):
        assert value.startswith(f"<{leave}>, <mailto:")
    for kind, source in (("plain", words.text), ("html", words.html)):
        body = message.get_body((kind,))
        assert body is not None
        texts = [str(body.get_content()).replace("\r\n", "\n"), letter.parts[f"text/{kind}"]]
        assert texts == [filled(source, person, links)] * 2


OF_TEMPLATES = {"D-11", "D-19", "D-31", "D-189"}  # what templates see to, which these small letters are without


def faults(raw: bytes) -> list[str]:
    return [str(fault) for fault in lint.check(raw) if fault.rule not in OF_TEMPLATES]


@given(NAMES, NAMES, TEXT.map("".join), st.lists(URLS, max_size=3), LANGUAGES, ADDRESSES, st.integers(0, 400))
@example("=?utf-8?q?x?=", "Re: =?utf-8?b?SGVsbG8=?=", "=20", [], "ar", "!#$%&'*+/=?^_`{|}~-@xn--hxajbheg2az3al.gr", 0)
@example("News", "News", ".", ["https://example.org/" + "x" * 5000], "zh", "x" * 64 + "@" + "y" * 63 + ".org", 400)
def test_any_copy_is_without_a_fault_and_is_read_as_it_was_meant(
    name: str, subject: str, said: str, urls: list[str], code: str, email: str, depth: int
) -> None:
    """D-1 to D-37 on the spliced bytes."""
    links = Links("https://lists.example.org" + "/x" * (depth // 2), (NEW,))
    person = ADA._replace(email=email, language=code)
    words = words_of(subject, said, urls, links, code)
    raw = copy_of(words, person, links, list_name=name)
    assert faults(raw) == []
    assert_read_as_meant(raw, words, person, links)


@given(ADDRESSES)
def test_an_address_that_people_may_sign_up_with_can_be_written_to(email: str) -> None:
    try:
        person = ADA._replace(email=addresses.parse(email).email)
    except addresses.BadAddress:
        return
    assert faults(copy_of(words_of("News", "Hello.", [], LINKS, "en"), person)) == []


@given(ADDRESSES.filter(lambda email: "&" not in email) | INTERNATIONAL)
@example("δοκιμή@παράδειγμα.gr")
@example(".@example.org")
@example("From@example.org")
def test_an_address_in_a_body_is_read_as_it_is(email: str) -> None:
    person = ADA._replace(email=email)
    words = words_of("News", "Hello.", [], LINKS, "en", slot("to"), f"{slot('to')}.")
    assert_read_as_meant(copy_of(words, person), words, person, LINKS)


@pytest.mark.parametrize("local", ["?==?", "=?utf-8?q?x?=", "=?utf-8?b?eA==?="])
def test_an_address_that_looks_like_an_encoded_word_is_refused_or_read_as_it_is(local: str) -> None:
    """Each is legal (RFC 5322 3.2.3)."""
    person, words = ADA._replace(email=f"{local}@example.org"), words_of("News", "Hello.", [], LINKS, "en")
    try:
        raw = copy_of(words, person)
    except ValueError:
        return
    assert_read_as_meant(raw, words, person, LINKS)
    assert faults(raw) == []


# Internationalised addresses.


@given(INTERNATIONAL)
@example("δοκιμή@παράδειγμα.gr")
@example("é@xn--hxajbheg2az3al.gr")
def test_an_internationalised_address_stands_in_to_as_utf_8_and_nowhere_else(email: str) -> None:
    """RFC 6532 3.2."""
    words = words_of("Привет", "Hello.", [], LINKS, "ru")
    person = ADA._replace(email=email, language="ru")
    raw = copy_of(words, person)
    to = f"\r\nTo: {email}\r\n".encode()
    assert raw.count(to) == 1
    assert raw.replace(to, b"\r\n").isascii()
    assert_read_as_meant(raw, words, person, LINKS)


EAI_COPY = copy_of(words_of("News", "Hello.", [], LINKS, "en"), ADA._replace(email="δοκιμή@xn--hxajbheg2az3al.gr"))


def test_the_checker_finds_no_fault_in_a_letter_to_an_internationalised_address() -> None:
    """D-3 excepts To."""
    assert faults(EAI_COPY) == []


@pytest.mark.parametrize(
    ("good", "faulty"),
    [
        ("Subject: News", "Subject: Nέws".encode()),
        ("Hello.", "Hέllo.".encode()),
        ("List-Id: ", "List-Id: δοκιμή ".encode()),
        ("To: δοκιμή@", b"To: \xe9@"),
        ("To: δοκιμή@xn--hxajbheg2az3al.gr", "To: ada@example.org\r\nTo-Whom: δοκιμή".encode()),
    ],
)
def test_the_checker_still_finds_what_else_is_not_ascii(good: str, faulty: bytes) -> None:
    assert good.encode() in EAI_COPY
    assert "D-3" in {fault.rule for fault in lint.check(EAI_COPY.replace(good.encode(), faulty, 1))}


# What may not be spliced.

BREAKING = ["\r\n", "\n", "\r", "\0", "\t", "\x1f", "\x7f", "\x85", "\u200b", "\u202e", "\u2028", "\u2029", "\ufeff"]
BREAKING += ["\ud800", "\ue000", "\ufffe", "<", ">", '"']


@pytest.mark.parametrize("character", BREAKING)
@pytest.mark.parametrize("email", ["a{}b@example.org", "{}a@example.org", "a@example.org{}", "é{}@example.org"])
def test_a_value_that_could_break_a_copy_is_refused(character: str, email: str) -> None:
    person = ADA._replace(email=email.format(character))
    with pytest.raises(ValueError, match=r"."):
        copy_of(words_of("News", "Hello.", [], LINKS, "en"), person)
    with pytest.raises(ValueError, match=r"."):
        Template(b"Hello \0to=\0").splice(person, LINKS)


def test_an_ampersand_which_html_would_read_otherwise_stands_in_no_body() -> None:
    person = ADA._replace(email="a&lt;b@example.org")
    words = words_of("News", "Hello.", [], LINKS, "en")
    assert faults(copy_of(words, person)) == []
    with pytest.raises(ValueError, match="to"):
        copy_of(words_of("News", "Hello.", [], LINKS, "en", slot("to")), person)


# Tokens: made by our own code, read by itsdangerous.


def signer(purpose: Purpose, *oldest_first: str) -> Signer:
    return Signer(list(oldest_first), salt=f"mailer.{purpose}", key_derivation="hmac", digest_method=sha256)


@given(
    st.sampled_from(Purpose),
    st.text("abcXYZ019-_.", max_size=60),
    st.lists(st.text(min_size=1), min_size=1, max_size=3),
)
def test_what_is_signed_is_what_itsdangerous_would_have_signed(purpose: Purpose, payload: str, keys: list[str]) -> None:
    token = Links("https://lists.example.org", tuple(keys)).sign(purpose, payload)
    assert token == signer(purpose, *reversed(keys)).sign(payload).decode()
    assert signer(purpose, *reversed(keys)).unsign(token).decode() == payload


def test_the_token_in_a_copy_verifies_and_still_does_when_the_key_was_changed() -> None:
    person, words = ADA._replace(uid="b" * 16), words_of("News", "Hello.", [], LINKS, "en")
    for keys in ((OLD,), (NEW, OLD), (NEW,)):
        links = Links("https://lists.example.org", keys)
        header = reader.read(copy_of(words, person, links)).headers["list-unsubscribe"]
        token = header.partition("/unsubscribe/")[2].partition("?")[0]
        assert signer(Purpose.UNSUBSCRIBE, keys[0]).unsign(token) == f"{person.uid}.1".encode()
        assert LINKS.read(Purpose.UNSUBSCRIBE, token) == Claim(person.uid, 1)
