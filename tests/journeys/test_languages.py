"""The language of a page and of a letter: the person's choice, else the browser's (D-193)."""

import re

import pytest

from ..installation import Installation, link_in
from ..tour import Tour

CODES = ("en", "fr", "es", "ru", "ar", "zh")


def language_of(page: str) -> str:
    found = re.search(r'<html lang="(\w+)" dir="(ltr|rtl)">', page)
    assert found
    assert (found[2] == "rtl") == (found[1] == "ar")
    return found[1]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("zh-CN,zh;q=0.9", "zh"),
        ("zh-Hans-SG", "zh"),
        ("zh-TW", "zh"),  # the other script is nearer than another language
        ("ar-EG,en;q=0.5", "ar"),
        ("es-419", "es"),
        ("pt-BR, es;q=0.7, en;q=0.3", "es"),
        ("pt", "en"),
        ("FR-ca", "fr"),
        ("de;q=1, ru;q=0.1", "ru"),
        ("ru;q=0, en", "en"),
        ("*", "en"),
        ("", "en"),
        ("fr;q=x, ;;, " + "a" * 5000, "en"),
    ],
)
def test_the_browser_says_which_languages_it_likes(here: Installation, asked: str, answered: str) -> None:
    answer = here.site.get("/", headers={"Accept-Language": asked})
    assert language_of(answer.text) == answered
    assert answer.headers["Content-Language"] == answered
    assert "Accept-Language" in answer.headers["Vary"]


def test_a_choice_wins_over_the_browser_and_goes_along_every_link(here: Installation) -> None:
    page = here.site.get("/?lang=ru", headers={"Accept-Language": "fr"}).text
    assert language_of(page) == "ru"
    inside = re.findall(r'<(?:a|form) [^>]*(?:href|action)="(/[^"]*)"', page)
    assert {link.partition("lang=")[2] for link in inside} == set(CODES)
    assert language_of(here.site.get("/?lang=tlh", headers={"Accept-Language": "fr"}).text) == "fr"


@pytest.mark.parametrize("code", CODES)
def test_the_form_posts_the_language_that_it_was_read_in(here: Installation, code: str) -> None:
    page = here.site.get("/", query_string={"lang": code}).text
    assert re.findall(r'<option value="(\w+)"[^>]* selected>', page) == [code]
    here.site.post("/subscribe", query_string={"lang": code}, data={"email": "ada@example.org", "language": code})
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    assert letter.message["Content-Language"] == code
    assert link_in(letter, "confirm").endswith(f"?lang={code}")


def test_public_pages_name_their_languages_and_the_others_are_not_for_search_engines(here: Installation) -> None:
    for scene in Tour(here).scenes():
        head = scene.answer(here).text.partition("</head>")[0]
        named = dict(re.findall(r'<link rel="alternate" hreflang="([\w-]+)" href="([^"]+)">', head))
        if scene.name in ("form", "privacy", "archive", "older digests") or scene.name.startswith("digest"):
            address = f"http://127.0.0.1:8000{scene.path}"
            assert named == {**{code: f"{address}?lang={code}" for code in CODES}, "x-default": address}
            assert "noindex" not in head
        else:
            assert (named, '<meta name="robots" content="noindex">' in head) == ({}, True), scene


@pytest.mark.parametrize(
    ("code", "day"),
    [
        ("en", "22 September 2023"),
        ("fr", "22 septembre 2023"),
        ("es", "22 de septiembre de 2023"),
        ("ru", "22 сентября 2023\u202fг."),
        ("ar", "22 سبتمبر 2023"),
        ("zh", "2023年9月22日"),
    ],
)
def test_dates_are_written_as_the_language_does(here: Installation, code: str, day: str) -> None:
    """Arabic with the digits that its addresses and links have too."""
    assert day in here.site.get(Tour(here).digest, query_string={"lang": code}).text


def test_an_arabic_letter_keeps_latin_names_together_and_its_subject_plain(here: Installation) -> None:
    """D-20, D-191."""
    here.sign_up("ada@example.org", language="ar")
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    assert letter.subject == "تأكيد الاشتراك في قائمة Frontier Technologies"
    assert "\u2068Frontier Technologies\u2069" in letter.part("plain")
    assert re.search("\u2068[^\u2068]+، \\d\\d:\\d\\d UTC\u2069", letter.part("plain"))
    outermost = re.findall(r"<(?:html|body|table)[^>]*>", letter.part("html"))[:3]
    assert all('dir="rtl"' in tag and 'lang="ar"' in tag for tag in outermost), outermost
