"""Signed links: what verifies, what does not, and for how long."""

from base64 import b32decode, b32encode, b64decode
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.errors import NotFound
from mailer.links import LIFETIMES, SAMPLE_UID, Claim, Links, Purpose

NEW, OLD, OTHER = "n" * 40, "o" * 40, "x" * 40
LINKS = Links("https://lists.example.org", (NEW,))
ASKED = datetime(2026, 3, 1, 12, tzinfo=UTC)
UID = "q7Yx-_0123456789abcdef"
LEAVE = LINKS.unsubscribe_token(UID, 7)
BY_MAIL = LINKS.mail_token("q7Yx-_0123456789", 7)
CONFIRM = LINKS.passing_token(Purpose.CONFIRM, UID, 7, ASKED)
TOKENS = [
    (Purpose.UNSUBSCRIBE, LEAVE),
    (Purpose.NOT_ME, LINKS.not_me_token(UID, 7)),
    *((purpose, LINKS.passing_token(purpose, UID, 7, ASKED)) for purpose in LIFETIMES),
]


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def changed(token: str, at: int) -> str:
    """Another character at `at`, different in its high bits: a signature's last character has two low ones to spare."""
    return token[:at] + ("Q" if token[at] in "ABCD" else "A") + token[at + 1 :]


def is_refused(purpose: Purpose, token: str, links: Links = LINKS) -> bool:
    try:
        links.read(purpose, token)
    except NotFound:
        return True
    return False


def test_a_token_says_what_was_signed() -> None:
    assert LINKS.read(Purpose.UNSUBSCRIBE, LEAVE) == Claim(UID, 7)
    assert LINKS.read(Purpose.CONFIRM, CONFIRM) == Claim(UID, 7, ASKED)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True), st.integers(1, 2**31), TIMES)
def test_every_token_can_be_read_back(uid: str, list_id: int, asked_at: datetime) -> None:
    whole = asked_at.replace(microsecond=asked_at.microsecond // 1000 * 1000)
    assert LINKS.read(Purpose.UNSUBSCRIBE, LINKS.unsubscribe_token(uid, list_id)) == Claim(uid, list_id)
    assert LINKS.read(Purpose.NOT_ME, LINKS.not_me_token(uid, list_id)) == Claim(uid, list_id)
    for purpose in LIFETIMES:
        claim = LINKS.read(purpose, LINKS.passing_token(purpose, uid, list_id, asked_at))
        assert claim == Claim(uid, list_id, whole)
        assert not claim.is_older_than(asked_at)
        assert claim.is_older_than(asked_at + timedelta(milliseconds=1))


@pytest.mark.parametrize(("purpose", "token"), TOKENS)
def test_a_token_stands_in_a_link_as_it_is_and_in_no_line_that_is_too_long(purpose: Purpose, token: str) -> None:
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert len(token) < 120


@pytest.mark.parametrize(("purpose", "token"), TOKENS)
def test_a_token_of_one_purpose_is_nothing_to_another(purpose: Purpose, token: str) -> None:
    """D-28"""
    assert [other for other in Purpose if not is_refused(other, token)] == [purpose]


@pytest.mark.parametrize(("purpose", "token"), TOKENS)
def test_a_token_with_any_character_changed_is_refused(purpose: Purpose, token: str) -> None:
    accepted = [at for at in range(len(token)) if not is_refused(purpose, changed(token, at))]
    assert accepted == []


@pytest.mark.parametrize(("purpose", "token"), TOKENS)
def test_a_token_cut_anywhere_is_refused(purpose: Purpose, token: str) -> None:
    cuts = [*(token[:end] for end in range(len(token))), *(token[start:] for start in range(1, len(token)))]
    assert [cut for cut in cuts if not is_refused(purpose, cut)] == []


@given(st.sampled_from(Purpose), st.one_of(st.text(), st.text("ab01.-_="), st.from_regex(r"[\w.-]+\.[\w-]{43}")))
@example(Purpose.CONFIRM, "")
@example(Purpose.CONFIRM, "\ud800.1.1")
@example(Purpose.UNSUBSCRIBE, "a.b.c.d")
def test_any_other_text_is_refused(purpose: Purpose, text: str) -> None:
    assert is_refused(purpose, text)


def test_another_installations_token_is_refused() -> None:
    assert is_refused(Purpose.UNSUBSCRIBE, LEAVE, Links("https://lists.example.org", (OTHER,)))
    assert is_refused_by_mail(BY_MAIL, Links("https://lists.example.org", (OTHER,)))


# What stands in mail addresses.


def is_refused_by_mail(token: str, links: Links = LINKS) -> bool:
    try:
        links.read_mail_token(token)
    except NotFound:
        return True
    return False


@given(st.from_regex(r"[A-Za-z0-9_-]{16}", fullmatch=True), st.integers(0, 2**32 - 1), st.data())
def test_a_token_in_an_address_can_be_read_back_in_any_case(uid: str, list_id: int, data: st.DataObject) -> None:
    """D-30"""
    token = LINKS.mail_token(uid, list_id)
    mixed = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in token)
    for written in (token, token.upper(), mixed):
        assert LINKS.read_mail_token(written) == Claim(uid, list_id)
    assert len(token) <= 64 - len("unsubscribe+")
    assert token.isascii()
    assert token.isalnum()


def test_a_token_in_an_address_with_any_character_changed_is_refused() -> None:
    """D-30"""
    for at, was in enumerate(BY_MAIL):
        for letter in set("0123456789abcdefgqGzZ-_+ \t\0é").difference(was + was.upper()):
            changed = BY_MAIL[:at] + letter + BY_MAIL[at + 1 :]
            assert is_refused_by_mail(changed), changed


def test_a_token_in_an_address_cut_or_lengthened_anywhere_is_refused() -> None:
    others = [BY_MAIL[:at] + more + BY_MAIL[at:] for at in range(len(BY_MAIL) + 1) for more in ("a", "aa", "0", " ")]
    cuts = [*(BY_MAIL[:end] for end in range(len(BY_MAIL))), *(BY_MAIL[start:] for start in range(1, len(BY_MAIL)))]
    assert [each for each in [*others, *cuts] if not is_refused_by_mail(each)] == []


@given(st.one_of(st.text(), st.from_regex(r"[a-zA-Z2-7]{51}[aAqQ]", fullmatch=True)))
@example("\uff10" * 52)
@example("\u212a" * 51 + "a")
@example("\ud800" * 52)
def test_any_other_text_is_no_token_in_an_address(text: str) -> None:
    assert is_refused_by_mail(text)


def test_a_token_in_an_address_is_none_in_a_link_nor_the_other_way_round() -> None:
    assert [purpose for purpose in Purpose if not is_refused(purpose, BY_MAIL)] == []
    assert [token for _, token in TOKENS if not is_refused_by_mail(token)] == []
    payload = b32decode(BY_MAIL + "====", casefold=True)[:16]
    signed = [b32encode(payload + LINKS.seals[purpose].of(payload)[:16]).decode()[:52].lower() for purpose in Purpose]
    assert [token for token in signed if not is_refused_by_mail(token)] == [BY_MAIL]


def test_a_token_in_an_address_holds_half_of_its_signature_in_base32() -> None:
    """D-27: 128 bits at least"""
    payload = b64decode("q7Yx-_0123456789", altchars=b"-_") + (7).to_bytes(4, "big")
    signature = LINKS.seals[Purpose.UNSUBSCRIBE_BY_MAIL].of(payload)[:16]
    assert b32encode(payload + signature).decode().lower().rstrip("=") == BY_MAIL


def test_the_token_of_a_preview_names_nobody() -> None:
    claim = LINKS.read_mail_token(LINKS.mail_token(SAMPLE_UID, 7))
    assert (claim.subscriber_uid.rstrip("-"), claim.list_id) == (SAMPLE_UID, 7)


def test_when_the_key_is_changed_the_new_one_signs_and_the_old_one_still_verifies() -> None:
    before, during, after = (Links("https://x.org", keys) for keys in ((OLD,), (NEW, OLD), (NEW,)))
    old_token, new_token = before.unsubscribe_token(UID, 7), during.unsubscribe_token(UID, 7)
    assert during.read(Purpose.UNSUBSCRIBE, old_token) == Claim(UID, 7)
    assert after.read(Purpose.UNSUBSCRIBE, new_token) == Claim(UID, 7)
    assert is_refused(Purpose.UNSUBSCRIBE, new_token, before)
    assert is_refused(Purpose.UNSUBSCRIBE, old_token, after)
    assert during.read_mail_token(before.mail_token("u" * 16, 7)) == Claim("u" * 16, 7)
    assert after.read_mail_token(during.mail_token("u" * 16, 7)) == Claim("u" * 16, 7)
    assert is_refused_by_mail(before.mail_token("u" * 16, 7), after)


def test_a_link_to_leave_works_five_years_later() -> None:
    """D-27"""
    with time_machine.travel("2031-03-02T12:00:00Z"):
        assert not LINKS.read(Purpose.UNSUBSCRIBE, LEAVE).expired
        assert not LINKS.read(Purpose.NOT_ME, LINKS.not_me_token(UID, 7)).expired


@pytest.mark.parametrize(
    ("purpose", "lasts", "over"),
    [
        (Purpose.CONFIRM, "2026-03-08T11:59:59Z", "2026-03-08T12:00:00Z"),
        (Purpose.MANAGE, "2026-03-01T12:29:59Z", "2026-03-01T12:30:00Z"),
        (Purpose.GOODBYE, "2026-03-01T12:59:59Z", "2026-03-01T13:00:00Z"),
        (Purpose.RESTORE, "2026-03-08T11:59:59Z", "2026-03-08T12:00:00Z"),
    ],
)
def test_a_token_expires_when_its_time_is_over(purpose: Purpose, lasts: str, over: str) -> None:
    """D-112, D-132"""
    token = LINKS.passing_token(purpose, UID, 7, ASKED)
    for at, expired in ((lasts, False), (over, True)):
        with time_machine.travel(at, tick=False):
            assert LINKS.read(purpose, token).expired is expired


@pytest.mark.parametrize(
    ("path", "query", "url"),
    [
        ("/", {}, "https://lists.example.org/"),
        ("/archive", {"lang": "fr"}, "https://lists.example.org/archive?lang=fr"),
        ("/x", {"q": "a b&c=d/é#?"}, "https://lists.example.org/x?q=a%20b%26c%3Dd%2F%C3%A9%23%3F"),
        ("/x", {"a": "1", "b": "2"}, "https://lists.example.org/x?a=1&b=2"),
        ("/leave/\ue000a\ue001", {}, "https://lists.example.org/leave/\ue000a\ue001"),
    ],
)
def test_a_page_has_one_absolute_address_with_its_query_quoted(path: str, query: dict[str, str], url: str) -> None:
    assert LINKS.page(path, **query) == url
