"""The checker of finished mails: a good one passes, and each rule finds the fault that it is there for."""

from datetime import UTC, datetime
from html import escape

import pytest

from mailer.config import Config
from mailer.letters import lint
from mailer.letters.edition import Template
from mailer.letters.message import account_headers, build, digest_headers
from mailer.letters.render import Words
from mailer.letters.slots import Recipient, slot
from mailer.links import Links

CONFIG = Config(mail_default_sender="Frontier <news@lists.example.org>")
LINKS = Links("https://lists.example.org", ("s" * 40,))
PERSON = Recipient("ada@example.net", "a" * 22, 1, datetime(2026, 3, 1, 12, tzinfo=UTC), "en", "f" * 64)
LEAVE = LINKS.page(f"/unsubscribe/{slot('unsubscribe')}", lang="en")
TOKEN = LINKS.unsubscribe_token(PERSON.uid, 1).encode()


def digest(subject: str = "News", text: str = "", html: str = "") -> bytes:
    words = Words(subject, f"Hello.\n{text}\n{LEAVE}\n", f'<p>Hello.</p>{html}<a href="{escape(LEAVE)}">Leave</a>\n')
    return Template(build(words, digest_headers(words, "en", "2026-03", CONFIG, LINKS))).splice(PERSON, LINKS)


GOOD = digest()
HEAD_END = b"\r\n\r\n"
MUTATIONS = [  # the rule that must find it, what stands in the good mail, what stands in the faulty one
    ("D-1", b"\r\nMIME-Version", b"\nMIME-Version"),
    ("D-1", b"Hello.\r\n", b"Hello.\r"),
    ("D-1", b"Hello.\r\n", b"Hel\0lo.\r\n"),
    ("D-1", b"Hello.\r\n", b"Hello\r\n.\r\n"),
    ("D-1", b"--\r\n", b"--"),
    ("D-2", b"Hello.\r\n", b"Hello." + b"o" * 71 + b"\r\n"),
    ("D-2", b"Subject: News", b"Subject: News" + b"x" * 990),
    ("D-3", b"Hello.", "Hé.".encode()),
    ("D-3", b"Subject: News", b"Subject: N\xe9ws"),
    ("D-4", b"Subject: News\r\n", b"Subject: News\r\nSubject: Other\r\n"),
    ("D-4", b"\r\nMIME-Version", b"\r\nFrom: <other@lists.example.org>\r\nMIME-Version"),
    ("D-4", b"Date: ", b"X-Date: "),
    ("D-5", b"To: ada@example.net", b"To: ada@example.net, ben@example.net"),
    ("D-5", b"To: ada@example.net", b"To: everybody"),
    ("D-8", b"+0000", b"+0200"),
    ("D-8", b"+0000", b"GMT"),
    ("D-9", b"@lists.example.org>\r\nContent", b"@localhost>\r\nContent"),
    ("D-9", b"Message-ID: <", b"Message-ID: "),
    ("D-10", b"multipart/alternative", b"multipart/mixed"),
    ("D-10", b"text/plain", b"text/x-plain"),
    ("D-10", b"charset=utf-8", b"charset=iso-8859-1"),
    ("D-11", b"<p>Hello.</p>", b'<a href=3D"https://e.org/x">x</a>'),
    ("D-11", b"Hello.\r\n", b"Hello.&nbsp;\r\n"),
    ("D-12", b"Subject: News", b"Subject: =?utf-8?b?" + b"QUFB" * 20 + b"?="),
    ("D-12", b"Subject: News", b"Subject: =?utf-8?q?a?==?utf-8?q?b?="),
    ("D-13", b"List-Archive: <https://lists.example.org/archive>", b"List-Archive: =?utf-8?q?=3Chttps=3A//x=3E?="),
    ("D-13", b"Feedback-ID: 2026-03", b"Feedback-ID: =?utf-8?q?2026?="),
    ("D-21", b"<frontier-technologies.lists.example.org>", b"frontier-technologies"),
    ("D-21", b"<frontier-technologies.lists.example.org>", b"<\xc3\xa9.example.org>"),
    ("D-22", b"List-Post: NO\r\n", b""),
    ("D-22", b"List-Help: <", b"X-Help: <"),
    ("D-22", b"List-Owner: <mailto:news@lists.example.org>", b"List-Owner: news@lists.example.org"),
    ("D-23", b"List-Unsubscribe=One-Click", b"List-Unsubscribe"),
    ("D-23", b"List-Unsubscribe: <https", b"List-Unsubscribe: <ftp"),
    ("D-23", b",\r\n <mailto:", b"\r\n <mailto:"),
    ("D-31", b"https://lists.example.org/unsubscribe/=\r\n" + TOKEN + b"=\r\n?lang=3Den\r\n", b"Leave\r\n"),
    ("D-31", b'<a href=3D"https://', b'<a href=3D"http://'),
    ("D-35", b"Precedence: bulk", b"X-Mailer: mailer 1.0"),
    ("D-35", b"To: ada@example.net", b"To: ada@example.net\r\nBcc: ben@example.net"),
    ("D-36", b"Hello.\r\n", b"Hello.\r\n" * 65_000),
]


def rules(raw: bytes) -> set[str]:
    return {fault.rule for fault in lint.check(raw)}


def test_every_rule_has_a_mail_that_breaks_it() -> None:
    assert {rule for rule, *_ in MUTATIONS} == {rule for rule, _ in lint.CHECKS}


def test_a_good_digest_has_no_fault() -> None:
    assert lint.check(GOOD) == []


@pytest.mark.parametrize(("rule", "good", "faulty"), MUTATIONS)
def test_each_fault_is_found_under_its_rule(rule: str, good: bytes, faulty: bytes) -> None:
    assert good in GOOD
    assert rule in rules(GOOD.replace(good, faulty, 1))


def test_a_fault_names_its_rule_and_says_what_is_wrong() -> None:
    faults = [str(fault) for fault in lint.check(GOOD.replace(b"Date: ", b"X-Date: ", 1))]
    assert "D-4: date is missing" in faults


@pytest.mark.parametrize(
    "raw",
    [
        digest(subject="Новости: " + "последние " * 20),
        digest(text="https://e.org/?a=1&b=2", html='<a href="https://e.org/?a=1&amp;b=2">x</a>'),
        digest(text="How to write `&nbsp;` in HTML", html="<code>&amp;nbsp;</code>"),
        digest(text=".\n..\nFrom me", html="<p>.</p>"),
    ],
)
def test_what_is_unusual_but_right_is_no_fault(raw: bytes) -> None:
    assert lint.check(raw) == []


def test_a_letter_to_one_person_needs_no_list_headers() -> None:
    words = Words("Confirm", "Hello.\n", "<p>Hello.</p>\n")
    raw = Template(build(words, account_headers(words, "en", CONFIG))).splice(PERSON, LINKS)
    assert lint.check(raw) == []


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\0", b"From", HEAD_END, b"Content-Type: multipart/mixed\r\n\r\n"])
def test_bytes_that_are_no_mail_have_faults_and_crash_nothing(raw: bytes) -> None:
    assert "D-4" in rules(raw)
