"""What is read of a mail that comes in: any bytes at all, and what matters in them."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailer.intake import taking
from mailer.intake.reading import ADDRESSED, KEPT, LONGEST_SUBJECT, Incoming, read

NAMES = st.sampled_from(["Subject", "To", "X-Original-To", "Auto-Submitted", "Precedence", "Return-Path", "X", ""])
VALUES = st.one_of(st.binary(max_size=200), st.sampled_from([b"=?utf-8?q?=ff?=", b"=?x?b?a?=", b"=?utf-8?b?%%%?="]))
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n ", b"\n\t", b"\0"])
LINES = st.builds(lambda name, value, end: name.encode() + b": " + value + end, NAMES, VALUES, ENDS)
WORDS = st.from_regex(r"[A-Za-z0-9@+._-]{1,60}", fullmatch=True)


@given(st.one_of(st.binary(max_size=2000), st.lists(LINES, max_size=20).map(b"".join)))
@example(b"")
@example(b"\0" * 10)
@example(b"Subject: =?utf-8?q?" + b"=?a?q?" * 1000)
def test_any_bytes_can_be_read(octets: bytes) -> None:
    found = read(octets)
    assert len(found.subject) <= LONGEST_SUBJECT
    assert [value for value in found.addressed if "\n" in value] == []


@given(WORDS, WORDS, st.sampled_from(["\r\n", "\n"]), st.binary(max_size=500))
def test_headers_are_found_before_any_body(address: str, subject: str, end: str, body: bytes) -> None:
    head = end.join([f"To: {address}", f"SUBJECT:{end}\t{subject}", "", ""]).encode()
    assert read(head + body) == Incoming((address,), subject, is_automatic=False)


def test_what_mail_servers_wrote_goes_before_what_senders_wrote() -> None:
    mail = "\n".join(f"{name}: {name}@example.org" for name in reversed(ADDRESSED))
    assert read(mail.encode()).addressed == tuple(f"{name}@example.org" for name in ADDRESSED)


@pytest.mark.parametrize("head", [b"", b"From ada@example.org Sun Mar  1 12:00:00 2026\n", b"no header\r\n"])
def test_a_line_that_is_no_header_is_passed_over(head: bytes) -> None:
    assert read(head + b"Subject: bye\n\nSubject: no").subject == "bye"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("=?utf-8?q?unsubscribe_abc?=", "unsubscribe abc"),
        ("=?utf-8?b?dW5zdWJzY3JpYmU=?=\r\n =?utf-8?q?_abc?=", "unsubscribe abc"),
        ("Re: unsubscribe\r\n abc", "Re: unsubscribe abc"),
        ("=?martian?q?abc?=", "=?martian?q?abc?="),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
    ],
)
def test_a_subject_is_read_as_it_was_meant_or_as_it_stands(value: str, subject: str) -> None:
    assert read(f"Subject: {value}\r\n\r\n".encode()).subject == subject


@pytest.mark.parametrize(
    ("head", "sender", "automatic"),
    [
        ("", "ada@example.org", False),
        ("", "<>", True),
        ("Return-Path: <>", "", True),
        ("Return-Path: <ada@example.org>", "", False),
        ("Auto-Submitted: no", "", False),
        ("Auto-Submitted: No (a person)", "", False),
        ("Auto-Submitted: auto-replied; owner-email=a@b.org", "", True),
        ("auto-submitted: auto-generated", "", True),
        ("Precedence: bulk", "", True),
        ("Precedence: JUNK", "", True),
        ("Precedence: first-class", "", False),
    ],
)
def test_what_no_person_wrote_is_known(head: str, sender: str, *, automatic: bool) -> None:
    """RFC 3834"""
    assert read(f"{head}\r\n\r\n".encode(), sender).is_automatic is automatic


@pytest.mark.usefixtures("app_context")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=5).map(b"".join), st.one_of(st.text(), st.from_regex(r"leave\+[0-9a-f]+@x")), WORDS)
@example(b"", "@", ".")
@example(b"", "\ud800+" + "0" * 52, "\ud800")
def test_no_mail_without_a_token_does_anything(octets: bytes, address: str, word: str) -> None:
    mail = read(octets)
    assert not taking.take([address, *mail.addressed], replace(mail, subject=f"unsubscribe {word}"))
    assert not taking.may_be_to_leave(address)


def test_of_a_huge_mail_the_beginning_is_read() -> None:
    folded = b"Subject: bye\r\nX: " + b"y\r\n " * KEPT + b"\r\nTo: late@example.org\r\n\r\n"
    assert read(folded) == Incoming((), "bye", is_automatic=False)
