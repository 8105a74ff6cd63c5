"""Links of a digest: what can't be an address, and what becomes of asking for one."""

import pytest

from mailer.digests import hyperlinks
from mailer.digests.hyperlinks import Answer
from mailer.digests.preflight import asked

GOOD = [
    *("https://example.org", "http://example.org:8080/a?b=c#d", "https://例子.广告/x", "https://xn--p1ai.example/"),
    *("https://192.0.2.1/", "https://[2001:db8::1]/", "mailto:a@example.org?subject=x", "https://a_b.example.org/"),
]
BAD = [
    *(
        "",
        "example.org",
        "//example.org",
        "/agenda",
        "ftp://example.org",
        "javascript:alert(1)",
        "https://",
        "https:///a",
    ),
    *("https://example", "https://a..b.org", "https://[::1", "https://example.org:port/", "https://example.org:99999/"),
    *("mailto:", "mailto:nobody", "mailto:a@b", "https://example.org/a b"),
]


def test_an_address_that_can_be_followed_has_no_fault() -> None:
    assert {url: hyperlinks.fault_of(url) for url in GOOD} == dict.fromkeys(GOOD)


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_can_not_be_followed_has_one(url: str) -> None:
    assert hyperlinks.fault_of(url)


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://127.0.0.1/", True),
        ("https://10.0.0.1/", True),
        ("https://localhost/", True),
        ("https://wiki.internal/", True),
        ("https://[::1]/", True),
        ("https://example.org/", False),
        ("https://8.8.8.8/", False),
    ],
)
def test_one_knows_ones_own_network(url: str, inside: bool) -> None:
    assert hyperlinks.is_inside(url) is inside


ANSWERS = {
    "https://example.org/good": Answer("", 200, "OK", "https://example.org/good"),
    "https://example.org/part#2": Answer("", 200, "OK", "https://example.org/part"),
    "https://example.org/slash": Answer("", 200, "OK", "https://example.org/slash/"),
    "https://example.org/gone": Answer("", 404, "Not Found", "https://example.org/gone"),
    "https://example.org/sick": Answer("", 503, "Unavailable", "https://example.org/sick"),
    "https://example.org/mute": Answer("", None, "it takes too long"),
    "https://example.org/old": Answer("", 200, "OK", "https://example.org/new"),
}


def test_each_answer_has_its_name_and_only_what_is_gone_is_an_error() -> None:
    """D-184."""

    def ask(url: str) -> Answer:
        found = ANSWERS[url]
        return Answer(url, found.status, found.words, found.place)

    found = list(asked([*ANSWERS, "mailto:a@example.org"], ask))
    assert [(each.name, each.is_error) for each in found] == [
        ("link-dead", True),
        ("link-doubtful", False),
        ("link-doubtful", False),
        ("link-moved", False),
    ]
    assert [each.text for each in found] == [
        "https://example.org/gone: 404 Not Found",
        "https://example.org/sick: 503 Unavailable",
        "https://example.org/mute: it takes too long",
        "https://example.org/old leads to https://example.org/new",
    ]


def test_asking_never_reaches_into_ones_own_network() -> None:
    """D-166."""
    answer = hyperlinks.ask("https://127.0.0.1/")
    assert answer.is_doubtful
    assert "not a public address" in answer.words
