"""What the protocol makes of a server's offers: the words of MAIL and RCPT, and the letters that it can't take."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.delivery.envelope import Features, Parcel, original_recipient, xtext
from mailer.delivery.protocol import Begun, Protocol, Settled
from mailer.states import DeliveryState

SENDER, ADA, EAI = "news@lists.example.org", "ada@example.org", "δοκιμή@xn--hxajbheg2az3al.gr"
MESSAGE = b"Subject: hello\r\n\r\nhello\r\n"


def letter(recipient: str = ADA, sender: str = SENDER, message: bytes = MESSAGE, envelope_id: str = "") -> Parcel:
    return Parcel("key", sender, recipient, message, envelope_id)


def envelope(parcel: Parcel, features: Features) -> tuple[str, str]:
    """MAIL and RCPT, as they are sent one by one."""
    protocol, lines = Protocol(features), []
    assert protocol.offer(parcel) is None
    for _ in range(2):
        lines.append(protocol.output().decode())
        protocol.receive(b"250 ok\r\n")
    assert all(line.endswith("\r\n") and line.count("\n") == 1 for line in lines)
    return lines[0].rstrip(), lines[1].rstrip()


def refusal(parcel: Parcel, features: Features) -> str | None:
    """Why the letter can't go out; None if it can. No octet of one that can't is written."""
    protocol = Protocol(features)
    settled = protocol.offer(parcel)
    if settled is None:
        return None
    assert isinstance(settled, Settled)
    assert (settled.parcel, settled.outcome.state) == (parcel, DeliveryState.BLOCKED)
    assert (protocol.output(), protocol.phase, protocol.over) == (b"", None, False)
    return settled.outcome.reply


# What a server offers.


@pytest.mark.parametrize(
    ("keywords", "features"),
    [
        ({}, Features()),
        ({"pipelining": ""}, Features(pipelining=True)),
        ({"smtputf8": "", "8bitmime": ""}, Features(utf8=True)),
        ({"smtputf8": ""}, Features()),  # RFC 6531 3.1: offered together with 8BITMIME
        ({"8bitmime": ""}, Features()),
        ({"dsn": ""}, Features(dsn=True)),
        ({"size": "10240000"}, Features(size=10240000)),
        ({"size": ""}, Features(size=0)),
        ({"size": "0"}, Features(size=0)),
        ({"size": "many"}, Features()),
        ({"size": "-1"}, Features()),
        ({"size": "1e6"}, Features()),
        ({"size": "10 20"}, Features()),
        ({"size": "９９"}, Features()),
        ({"size": "9" * 5000}, Features()),
        ({"limits": "MAILMAX=20 RCPTMAX=100"}, Features(letters=20)),
        ({"limits": "RCPTMAX=100 mailmax=7"}, Features(letters=7)),
        ({"limits": "RCPTMAX=100"}, Features()),
        ({"limits": "XMAILMAX=7"}, Features()),
        ({"limits": "MAILMAX=0"}, Features()),
        ({"limits": "MAILMAX=-3"}, Features()),
        ({"limits": "MAILMAX=many"}, Features()),
        ({"limits": "MAILMAX=5x"}, Features()),
        ({"limits": "MAILMAX"}, Features()),
        ({"limits": "MAILMAX=" + "9" * 5000}, Features()),
        ({"limits": ""}, Features()),
        ({"pipelining": "what", "starttls": "", "help": "\x00", "": ""}, Features(pipelining=True)),
    ],
)
def test_an_offer_is_taken_if_it_makes_sense(keywords: dict[str, str], features: Features) -> None:
    assert Features.read(keywords) == features


@given(st.dictionaries(st.sampled_from(["size", "limits", "dsn", "pipelining"]), st.text()))
def test_no_offer_crashes_anything(keywords: dict[str, str]) -> None:
    assert Features.read(keywords).pipelining == ("pipelining" in keywords)


# The words of an envelope.


@pytest.mark.parametrize(
    ("features", "parcel", "mail", "rcpt"),
    [
        (Features(), letter(), "", ""),
        (Features(), letter(envelope_id="x"), "", ""),
        (Features(size=0), letter(), f" SIZE={len(MESSAGE)}", ""),
        (Features(size=1000), letter(), f" SIZE={len(MESSAGE)}", ""),
        (Features(utf8=True), letter(), "", ""),
        (Features(utf8=True), letter(EAI), " BODY=8BITMIME SMTPUTF8", ""),
        (Features(utf8=True), letter(sender=EAI), " BODY=8BITMIME SMTPUTF8", ""),
        (Features(dsn=True), letter(), "", " NOTIFY=FAILURE ORCPT=rfc822;ada@example.org"),
        (Features(dsn=True), letter(envelope_id="a=b+c d"), " RET=HDRS ENVID=a+3Db+2Bc+20d", " NOTIFY=FAILURE ORCPT="),
        (Features(dsn=True), letter("a+b@example.org"), "", " NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@example.org"),
        (Features(dsn=True, utf8=True), letter("é@e.org"), " BODY=8BITMIME SMTPUTF8", " NOTIFY=FAILURE ORCPT=utf-8;"),
    ],
)
def test_an_envelope_says_what_the_server_understands_and_no_more(
    features: Features, parcel: Parcel, mail: str, rcpt: str
) -> None:
    told = envelope(parcel, features)
    assert told[0] == f"MAIL FROM:<{parcel.sender}>{mail}"
    assert told[1].startswith(f"RCPT TO:<{parcel.recipient}>{rcpt}")
    assert rcpt or told[1].endswith(">")


def xtext_decoded(words: str) -> str:
    """RFC 3461 4, read by its grammar."""
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", words)
    octets = re.sub(rb"\+(..)", lambda found: bytes([int(found[1], 16)]), words.encode())
    return octets.decode()


def utf8_address_decoded(words: str) -> str:
    """utf-8-addr-xtext of RFC 6533 3, read by its grammar."""
    specials, two = "[01][1-9]|10|20|2B|3D|7F|5C", "[89A-F][0-9A-F]"
    longer = "[1-9A-F][0-9A-F]{2}|[1-9A-CE-F][0-9A-F]{3}|D[0-7][0-9A-F]{2}|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4}"
    assert re.fullmatch(rf"(?:[!-*,-<>-\[\]-~]|\\x\{{(?:{specials}|{two}|{longer})\}})*", words)
    return re.sub(r"\\x\{(.+?)\}", lambda found: chr(int(found[1], 16)), words)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("+=\\ \x7fé😀")
def test_an_envelope_id_can_be_read_back(words: str) -> None:
    assert xtext_decoded(xtext(words)) == words


@given(st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs", "Cc"]), min_size=1))
@example("a+b=c\\d@example.org")
@example("a+b=c\\d@παράδειγμα.gr")
@example("日本😀@example.org")
def test_the_original_recipient_can_be_read_back(address: str) -> None:
    kind, _, words = original_recipient(address).partition(";")
    decoded = {"rfc822": xtext_decoded, "utf-8": utf8_address_decoded}[kind](words)
    assert (kind, decoded) == ("rfc822" if address.isascii() else "utf-8", address)


# Letters that can't go out.

BREAKING = ["\r\n", "\n", "\r", "\0", "\t", " ", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "<", ">"]


@pytest.mark.parametrize("character", BREAKING)
@pytest.mark.parametrize("features", [Features(), Features(pipelining=True, utf8=True, dsn=True, size=0)])
def test_an_address_that_could_break_a_command_is_never_written(character: str, features: Features) -> None:
    for address in (f"a{character}b@example.org", f"a@example.org{character}", f"{character}a@example.org"):
        assert refusal(letter(recipient=address), features)
        assert refusal(letter(sender=address), features)


@pytest.mark.parametrize("address", ["o'brien+x=y@example.org", "!#$%&*/?^_`{|}~-@example.org", "x" * 64 + "@e.org"])
def test_an_odd_address_is_written_as_it_is(address: str) -> None:
    assert envelope(letter(address), Features())[1] == f"RCPT TO:<{address}>"


@pytest.mark.parametrize("parcel", [letter(EAI), letter(sender=EAI)])
def test_an_internationalised_address_needs_a_server_that_knows_them(parcel: Parcel) -> None:
    assert "5.6.7" in (refusal(parcel, Features(dsn=True)) or "")
    assert refusal(parcel, Features(utf8=True)) is None


@pytest.mark.parametrize(
    ("size", "fits"), [(None, True), (0, True), (len(MESSAGE) - 1, False), (len(MESSAGE), True), (10**9, True)]
)
def test_a_letter_larger_than_the_server_takes_is_not_begun(size: int | None, fits: bool) -> None:
    said = refusal(letter(), Features(size=size))
    assert (said is None) == fits
    assert fits or "5.3.4" in (said or "")


def test_a_letter_that_can_not_go_out_harms_neither_the_one_before_nor_the_next() -> None:
    protocol = Protocol(Features(pipelining=True))
    protocol.offer(letter())
    protocol.output()
    (begun,) = protocol.receive(b"250 ok\r\n250 ok\r\n354 go on\r\n")
    assert isinstance(begun, Begun)
    assert isinstance(protocol.offer(letter("a b@example.org")), Settled)
    assert protocol.offer(letter()) is None
    assert protocol.output().startswith(MESSAGE + b".\r\nMAIL FROM:<")
