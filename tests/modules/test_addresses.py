"""What is an e-mail address, and when two are the same."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.addresses import PLAIN, parse, validate
from mailer.errors import BadAddress

# 64 + 1 + 189 characters: the longest address there can be.
LONG_DOMAIN = f"{'a' * 63}.{'b' * 63}.{'c' * 57}.org"
LONGEST = f"{'x' * 64}@{LONG_DOMAIN}"

GOOD = [  # given, what mail is sent to, what makes it the same as another
    ("ada@example.org", "ada@example.org", "ada@example.org"),
    ("  ada@example.org\r\n", "ada@example.org", "ada@example.org"),
    ("Ada.Lovelace@Example.ORG", "Ada.Lovelace@example.org", "ada.lovelace@example.org"),
    ("a.d.a+news@gmail.com", "a.d.a+news@gmail.com", "a.d.a+news@gmail.com"),
    ("=cmd|x'y@example.org", "=cmd|x'y@example.org", "=cmd|x'y@example.org"),
    ("o'hara_1-x/y@sub.example.org", "o'hara_1-x/y@sub.example.org", "o'hara_1-x/y@sub.example.org"),
    ("ada@faß.de", "ada@xn--fa-hia.de", "ada@xn--fa-hia.de"),
    ("ada@Bücher.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
    ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
    ("ada@例子.广告", "ada@xn--fsqu00a.xn--4rr70v", "ada@xn--fsqu00a.xn--4rr70v"),
    ("ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai", "ada@xn--e1afmkfd.xn--p1ai"),
    ("ada@XN--FA-HIA.de", "ada@xn--fa-hia.de", "ada@xn--fa-hia.de"),
    ("administrator@example.org", "administrator@example.org", "administrator@example.org"),
    (LONGEST, LONGEST, LONGEST),
]
BAD = [
    "",
    " ",
    "ada",
    "@",
    "ada@",
    "@example.org",
    "ada@example",
    "ada@localhost",
    "ada@example.org.",
    "ada@@example.org",
    "a@b@example.org",
    ".ada@example.org",
    "ada.@example.org",
    "a..b@example.org",
    "a b@example.org",
    "ada@-example.org",
    "ada@exa_mple.org",
    "ada@exa mple.org",
    '"ada"@example.org',
    '"a b"@example.org',
    "ada@[127.0.0.1]",
    "ada@[IPv6:::1]",
    "ada@127.0.0.1",
    "ada@example.test",
    "ada@host.invalid",
    "ada@host.local",
    "ada@xn--a.org",
    "Ada <ada@example.org>",
    "<ada@example.org>",
    "mailto:ada@example.org",
    "ada@example.org,b@example.org",
    "ada@example.org;b@example.org",
    "ada(comment)@example.org",
    "adé@example.org",
    "ａda@example.org",
    "ada\r\nBcc: all@example.org",
    "ada@example.org\r\nBcc: all@example.org",
    "ada@example.org\nRCPT TO:<b@example.org>",
    "ada\x00@example.org",
    "ada@example\x00.org",
    "ada\u200b@example.org",
    "ada@exam\u200bple.org",
    "ada\u00ad@example.org",
    "\u202eada@example.org",
    "\ufeffada@example.org",
    "\ud800@example.org",
    "ada@\ud800.org",
    "x" * 65 + "@example.org",
    "ada@" + "x" * 64 + ".org",
    f"{'x' * 64}@{LONG_DOMAIN.replace('c.', 'cc.')}",
    "ada@" + "é" * 62 + ".org",
    "a" * 100_000,
]
INTERNATIONAL = [  # D-17, D-18: as GOOD
    ("adé@example.org", "adé@example.org", "adé@example.org"),
    ("ade\u0301@example.org", "adé@example.org", "adé@example.org"),
    ("Адá.Лавлейс@Пример.рф", "Адá.Лавлейс@xn--e1afmkfd.xn--p1ai", "адá.лавлейс@xn--e1afmkfd.xn--p1ai"),
    ("用户+news@例子.广告", "用户+news@xn--fsqu00a.xn--4rr70v", "用户+news@xn--fsqu00a.xn--4rr70v"),
    ("مستخدم@example.org", "مستخدم@example.org", "مستخدم@example.org"),
    ("Straße@faß.de", "Straße@xn--fa-hia.de", "strasse@xn--fa-hia.de"),
    ("ﬁn@example.org", "ﬁn@example.org", "fin@example.org"),
    ("é" * 32 + "@example.org", "é" * 32 + "@example.org", "é" * 32 + "@example.org"),
]
NOT_EVEN_INTERNATIONAL = [
    '"é"@example.org',
    "é@[127.0.0.1]",
    "é@example.test",
    "é é@example.org",
    "é\u200b@example.org",
    "\u202eé@example.org",
    ".é@example.org",
    "é" * 33 + "@example.org",
    f"{'é' * 32}@{LONG_DOMAIN.replace('c.', 'cc.')}",
    "é\r\nBcc: all@example.org",
    "\ud800é@example.org",
    "é<ada@example.org>",
]
ROBOTS = ["abuse", "postmaster", "mailer-daemon", "noreply", "no-reply", "spam", "NoReply", "POSTMASTER"]


def test_the_long_ones_are_as_long_as_can_be() -> None:
    assert len(LONGEST) == 254


@pytest.mark.parametrize(("given_", "email", "key"), GOOD)
def test_a_good_address_has_one_normal_form(given_: str, email: str, key: str) -> None:
    address = parse(given_)
    assert (address.email, address.key, str(address)) == (email, key, email)


@pytest.mark.parametrize(("given_", "email", "key"), INTERNATIONAL)
def test_an_international_address_is_taken_where_it_can_be_reached(given_: str, email: str, key: str) -> None:
    """D-17, D-18"""
    address = parse(given_, international=True)
    assert (address.email, address.key, address.is_international) == (email, key, True)
    with pytest.raises(BadAddress):
        parse(given_)


@pytest.mark.parametrize("given_", [*NOT_EVEN_INTERNATIONAL, *(each for each in BAD if each.isascii())])
def test_what_is_no_address_is_none_anywhere(given_: str) -> None:
    with pytest.raises(BadAddress):
        parse(given_, international=True)


@pytest.mark.parametrize("given_", BAD)
def test_what_is_no_address_is_refused_with_a_reason_on_one_line(given_: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse(given_)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ROBOTS)
def test_an_address_that_nobody_reads_is_refused(name: str) -> None:
    with pytest.raises(BadAddress, match=f"(?i){name}@"):
        parse(f"{name}@example.org")


PIECES = st.lists(st.sampled_from([*"aZ9.@-+_\"'<>()[],;: \r\n\0", "é", "ß", "例", "\u200b", "xn--", "org", "\u3002"]))


@given(st.one_of(st.text(st.characters()), PIECES.map("".join), st.emails(), st.emails().map(str.upper)))
@example("ada@faß.de")
@example("ada@faß\u3002de")
def test_any_text_is_an_address_in_its_normal_form_or_a_bad_address(text: str) -> None:
    try:
        address = parse(text)
    except BadAddress:
        return
    assert parse(address.email) == address
    assert address.email.isascii()
    assert address.key == address.key.lower()
    assert len(address.email) <= 254


@given(st.from_regex(PLAIN, fullmatch=True).filter(lambda local: len(local) <= 64))
@settings(deadline=None)
def test_what_is_plain_before_the_at_is_good_by_the_validator_too(local: str) -> None:
    assert validate(f"{local}@exämple.org", international=False) == (local, "xn--exmple-cua.org")
