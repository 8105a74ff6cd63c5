"""The checker of finished mails, on real letters in six languages: they are without a fault, and each fault that is
put into one is found under its name and under no other."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.letters import lint, markdown
from mailer.letters.lint import Fault, Kind

from ..installation import Installation
from ..patience import takes_at_most
from ..servers.smtp import SmtpServer
from .mutations import IN_A_CONFIRMATION, IN_A_DIGEST, IN_EVERY_LETTER, Way, both, html, in_head, in_part, text

LANGUAGES = ("en", "fr", "es", "ru", "ar", "zh")
SAMPLES = Path(__file__).parents[2] / "mailer" / "samples"
# What of section A of the standards no mail shows.
UNSEEN = {
    "D-7": "whether somebody reads what is sent to the sender's address is known to its domain",
    "D-15": "what was meant by words that look encoded is known to who wrote them: see test_message",
    "D-17": "what the mail server can take is known to the mail server: see test_international_addresses",
    "D-24": "what the site does when it is asked: see test_leaving",
    "D-25": "the same",
    "D-26": "the same: see test_scanners",
    "D-27": "how long a token works: see test_links",
    "D-28": "what the site does when it is asked: see test_leaving",
    "D-29": "when a letter went out: see test_sending",
    "D-30": "what becomes of an answer: see test_leaving_by_mail",
    "D-41": "what was stored at the first sending: see test_a_digest",
}


@dataclass(frozen=True)
class Letters:
    """By language."""

    digests: dict[str, bytes]
    confirmations: dict[str, bytes]


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Letters:
    """As the product makes them, by its own commands and pages."""
    folder, before = tmp_path_factory.mktemp("letters"), Path.cwd()
    shutil.copy(sqlite_template, folder / "mailer.db")
    os.chdir(folder)
    with SmtpServer() as mail_server:
        here = Installation(folder, f"sqlite:///{folder / 'mailer.db'}", mail_server)
        here.configure(BASE_URL="https://lists.example.org", ORGANISATION="Example", POSTAL_ADDRESS="1 Example Road")
        here.run("digest", "compose", *sorted(SAMPLES.glob("*.md")), "--title", "News of October")
        for code in LANGUAGES:
            here.run("digest", "preview", 1, "--language", code, "--eml", f"{code}.eml")
            here.run("subscriber", "add", f"reader@{code}.example.org", "--language", code)
        here.run("run-due")
        sent = {code: here.letters(f"reader@{code}.example.org")[0].raw for code in LANGUAGES}
        here.close()
    os.chdir(before)
    return Letters({code: (folder / f"{code}.eml").read_bytes() for code in LANGUAGES}, sent)


def found(raw: bytes, kind: Kind) -> set[str]:
    return {fault.rule for fault in lint.check(raw, kind)}


def assert_found(rule: str, way: Way, originals: dict[str, bytes], kind: Kind) -> None:
    for code, raw in originals.items():
        assert found(way(raw), kind) == {rule}, (code, [str(each) for each in lint.check(way(raw), kind)])


@pytest.mark.parametrize("code", LANGUAGES)
def test_real_letters_are_without_a_fault(letters: Letters, code: str) -> None:
    assert lint.check(letters.digests[code]) == []
    assert lint.check(letters.confirmations[code]) == []


@pytest.mark.parametrize(("rule", "what", "way"), [*IN_EVERY_LETTER, *IN_A_DIGEST])
def test_each_fault_of_a_digest_is_found_under_its_name_only(letters: Letters, rule: str, what: str, way: Way) -> None:
    """D-65."""
    assert_found(rule, way, letters.digests, Kind.DIGEST)


@pytest.mark.parametrize(("rule", "what", "way"), [*IN_EVERY_LETTER, *IN_A_CONFIRMATION])
def test_each_fault_of_a_confirmation_is_found_under_its_name_only(
    letters: Letters, rule: str, what: str, way: Way
) -> None:
    assert_found(rule, way, letters.confirmations, Kind.ACCOUNT)


def test_every_requirement_on_mail_has_a_fault_that_breaks_it_or_a_reason_why_none_can() -> None:
    """D-1 to D-41."""
    seen = {rule for rule, *_ in (*IN_EVERY_LETTER, *IN_A_DIGEST, *IN_A_CONFIRMATION)}
    assert seen == {check.rule for check in lint.CHECKS}
    assert seen - {"D-189"} | UNSEEN.keys() == {f"D-{number}" for number in range(1, 42)}
    assert not seen & UNSEEN.keys()


def test_a_fault_names_its_rule_says_what_is_wrong_and_what_to_do(letters: Letters) -> None:
    fault = lint.check(letters.digests["en"].replace(b"\r\nDate: ", b"\r\nReply-To: ", 1))[0]
    assert str(fault) == "D-4: date is missing"
    assert fault.remedy


def test_a_letter_that_came_through_mail_servers_can_be_checked(letters: Letters) -> None:
    on_the_way = b"Received: from a\r\nReceived: from b\r\nDKIM-Signature: v=1; b=\r\n\tabc=\r\nX-Spam-Status: No\r\n"
    assert lint.check(on_the_way + letters.digests["en"]) == []


def test_a_trial_on_ones_own_machine_needs_no_https(letters: Letters) -> None:
    secure, trial = "https://lists.example.org", "http://127.0.0.1:8000"
    move = both(in_head(secure.encode(), trial.encode()), text(secure, trial), html(secure, trial))
    assert lint.check(move(letters.digests["en"])) == []


# What announcements may say: Markdown in every state of repair.
PIECES = (
    *(
        "# ",
        "### ",
        "- ",
        "> ",
        "1. ",
        "\n",
        "\n\n",
        "*a*",
        "`c < d`",
        "word",
        "مرحبا",
        "---",
        "```\n",
        "===\n",
        "\t",
        "_",
    ),
    *("[l](https://e.org/x?a=1&b=2)", "![a room](https://e.org/a.png)", "<https://e.org/y>", "&nbsp;", "&amp;", "<p>"),
    *("  \n", "\\", "<b>x</b>", "\u00a0", "\u2028", "&#x85;", "&lt;br&gt;"),
)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_nothing_that_announcements_may_say_is_taken_for_a_fault(letters: Letters, source: str) -> None:
    """D-11: both parts are made of the same words."""
    assert_is_no_fault(letters, source)


def assert_is_no_fault(letters: Letters, source: str) -> None:
    add = both(
        in_part(1, lambda words: f"{words}\n{markdown.to_text(source)}\n."),
        in_part(2, lambda words: words.replace("</body>", f"{markdown.to_html(source)}</body>.")),
    )
    assert lint.check(add(letters.digests["en"])) == []


@pytest.mark.parametrize(
    "words",
    ["<img src=x onerror=go()>", "<script>go()</script>", "--> x <!--", "<p style='background: url(x)'>", "&amp;lt;"],
)
@pytest.mark.parametrize(
    "source", ["![{}](https://example.org/a)", '[x](https://example.org/a "{}")', "{}", "<p `{}`>"]
)
def test_words_about_html_are_not_taken_for_html(letters: Letters, source: str, words: str) -> None:
    """D-11, D-38, D-189: in a value of an attribute neither."""
    assert_is_no_fault(letters, source.format(words))


def test_a_script_in_an_element_is_found_behind_words_about_one(letters: Letters) -> None:
    spoilt = in_part(2, lambda words: words.replace("<h1", '<h1 title="x onclick=y" onclick="z"', 1))
    assert [fault.rule for fault in lint.check(spoilt(letters.digests["en"]))] == ["D-189"]


# Bytes that are no mail.


def assert_faults_are_said_on_a_line(faults: list[Fault]) -> None:
    assert all(fault.rule and fault.text and str(fault).isprintable() for fault in faults)


def assert_nothing_breaks(raw: bytes) -> None:
    for kind in (None, *Kind):
        assert_faults_are_said_on_a_line(lint.check(raw, kind))


@given(
    st.binary()
    | st.lists(st.sampled_from([b"\r\n", b"\0", b"--x", b":", b"=", b" ", b"\r", b"<", b'"', b"a"])).map(b"".join)
)
@example(b"")
@example(b"\r\n\r\n")
@example(b"Content-Type: multipart/mixed\r\n\r\n")
@example(b"Content-Type: text/html; charset=idna\r\n\r\n\xff" + b"." * 80)
@example(b"Content-Type: text/html; charset=unicode_escape\r\n\r\n\\u")
@example(b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nA")
@example(b"Subject: =?hex?b?QQ==?= =?utf-8?b?Q?=\r\nDate: Mon, 99 Jan 9999 99:99:99 +0000\r\n\r\n")
def test_no_bytes_break_the_checker(raw: bytes) -> None:
    assert_nothing_breaks(raw)
    assert lint.check(raw)


CUTS = st.lists(st.tuples(st.integers(0, 25_000), st.integers(0, 300), st.binary(max_size=20)), min_size=1, max_size=5)


@settings(max_examples=50)
@given(st.sampled_from(LANGUAGES), st.booleans(), CUTS)
def test_no_damage_to_a_letter_breaks_the_checker(
    letters: Letters, code: str, is_digest: bool, cuts: list[tuple[int, int, bytes]]
) -> None:
    raw = (letters.digests if is_digest else letters.confirmations)[code]
    for start, length, new in cuts:
        raw = raw[:start] + new + raw[start + length :]
    assert_nothing_breaks(raw)


@pytest.mark.parametrize(
    "pattern",
    [
        *(b"\0", b"\n", b"\r\n", b"a", b"a: b\r\n", b"\r\n ", b".\r\n", b"<", b'<a "', b"=?", b"\xff", b"("),
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n',
        b"From: " + b"<" * 20,
    ],
)
def test_many_bytes_take_little_time(pattern: bytes) -> None:
    """Just below the size that is too large, and far beyond."""
    for size in (490_000, 10_000_000):
        for head in (b"", b"From: a@example.org\r\n", b'Content-Type: text/html\r\n\r\n<p style="'):
            raw = head + pattern * (size // len(pattern))
            assert takes_at_most(5, lambda raw=raw: assert_faults_are_said_on_a_line(lint.check(raw)))
