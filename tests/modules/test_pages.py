"""News pages as announcements: their words and nothing else, however they are built."""

import datetime as dt
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.digests.pages import Found, read
from mailer.errors import BadInput
from mailer.letters.markdown import to_html, to_text

from ..articles import SOURCES, WRAPPINGS, Article, well_made
from ..patience import takes_at_most
from .test_feeds import IMPOSSIBLE
from .test_markdown import ATTACKS

LANGUAGES = ("en", "fr", "es", "ru", "ar", "zh")
ADDRESS = "https://example.org/news/recap.html"
DAY = dt.date(2023, 9, 22)
WORDS = "More than enough words to be taken for the text of a page, and a few more of them. " * 3


def page(source: str, **known: str) -> Found:
    return read(source.encode(), LANGUAGES, **known)


def html(body: str, head: str = "", lang: str = "en") -> str:
    return (
        f"<html lang='{lang}'><head>{head}</head><body><nav><a href='/'>Home</a></nav><main>{body}</main></body></html>"
    )


@pytest.mark.parametrize("wrap", WRAPPINGS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_page_is_taken_for_its_article(source: Path, wrap: Callable[[Article], str]) -> None:
    """Title, day, every paragraph and quotation in its order, and none of hundreds of entries of navigation."""
    article = Article.read(source)
    found = page(wrap(article), address=ADDRESS)
    assert (found.title, found.url) == (article.title, ADDRESS)
    assert found.date == dt.datetime.strptime(article.day, "%B %d, %Y").date()
    text = to_text(found.body).replace("> ", "")
    assert text.split("\n\n") == article.paragraphs


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_quotations_stay_quotations(source: Path) -> None:
    article = Article.read(source)
    quoted = [line[2:] for line in page(well_made(article)).body.split("\n") if line.startswith("> ")]
    assert len(quoted) == 2
    assert set(quoted) < set(article.paragraphs)


RICH = html(
    f"""<h1>A rich page of the site</h1><time datetime='2023-09-20'>two days before</time>
    <figure><img src='/i/lead.jpg' alt='A full room'><figcaption>Photo: The Site</figcaption></figure>
    <p>{WORDS}<a href='/rel?a=1'>A link</a> and <b>bold</b>, <time datetime='2023-10-01'>on 1 October</time>.</p>
    <h2>Below</h2><ul><li>one<li>two <a href='https://e.org/b'>b</a></ul><ol><li>first<li>second</ol><p>{WORDS}</p>""",
    """<meta property='og:title' content='A rich page of the site'><meta property='og:image' content='/i/lead.jpg'>
    <meta name=description content='What the page is about, in a sentence.'><link rel=canonical href='/news/rich'>
    <script type='application/ld+json'>{"@type": "NewsArticle", "datePublished": "2023-09-22T23:30:00+02:00",
    "dateModified": "2024-01-01"}</script>""",
    "en-GB",
)


def test_a_page_that_says_much_of_itself_for_machines() -> None:
    found = page(RICH, address="https://example.org/a/b?utm_source=x")
    assert (found.title, found.date, found.language) == ("A rich page of the site", DAY, "en")
    assert (found.url, found.source) == ("https://example.org/news/rich", "https://example.org/news/rich")
    assert (found.image, found.image_alt) == ("https://example.org/i/lead.jpg", "A full room")
    assert found.summary == "What the page is about, in a sentence."
    assert "[A link](https://example.org/rel?a=1) and **bold**, on 1 October." in found.body
    assert "## Below\n\n- one\n- two [b](https://e.org/b)\n\n1. first\n2. second\n\n" in found.body
    assert "Photo" not in found.body
    assert "Home" not in found.body


JSON_LD = '<script type="application/ld+json">{}</script>'


@pytest.mark.parametrize(
    ("head", "author"),
    [
        ("", None),
        ("<meta name=author content=' Jane \n Doe '>", "Jane Doe"),
        ("<meta property='article:author' content='https://example.org/jane'>", None),
        ("<meta name=author content='jane@example.org'><meta name=dc.creator content='Jane Doe'>", "Jane Doe"),
        ("<meta name=author content=site><meta name=citation_author content='李伟'>", "李伟"),
        (
            "<meta name=citation_author content='Doe, J.'><meta name=Citation_Author content='Roe, R.'>",
            "Doe, J., Roe, R.",
        ),
        (JSON_LD.format('{"author": {"@type": "Person", "name": "Jane Doe"}}'), "Jane Doe"),
        (JSON_LD.format('[{"author": ["Jane Doe", {"name": "R. Roe"}, {"name": "Jane Doe"}]}]'), "Jane Doe, R. Roe"),
        (JSON_LD.format('{"@graph": [{"name": "Site"}, {"author": {"name": "Jane Doe"}}]}'), "Jane Doe"),
        (JSON_LD.format('{"author": 5, "@graph": {"author": {"name": ["Jane"]}}}'), None),
        (JSON_LD.format('{"author": '), None),
        (JSON_LD.format("[" * 100_000), None),
        ("<meta name=author content='&#xe000;to&#xe001;'>", "to"),
    ],
)
def test_who_wrote_it_is_what_the_page_says_for_machines(head: str, author: str | None) -> None:
    """Names only: nobody's address becomes public. What stands in the text is not guessed about."""
    assert (
        page(html(f"<h1>The title of this page</h1><p class=byline>By Nobody</p><p>{WORDS}</p>", head)).author == author
    )


def test_a_long_list_of_authors_is_cut() -> None:
    head = "".join(f"<meta name=author content='Author number {number}'>" for number in range(50))
    author = page(html(f"<h1>The title of this page</h1><p>{WORDS}</p>", head)).author
    assert author is not None
    assert (len(author) <= 200, author[-1]) == (True, "…")


def test_a_picture_without_words_is_kept_without_words() -> None:
    found = page(RICH.replace("alt='A full room'", ""), address=ADDRESS)
    assert (found.image, found.image_alt) == ("https://example.org/i/lead.jpg", None)


@pytest.mark.parametrize(
    ("day", "lang"),
    [
        ("September 22, 2023", "en"),
        ("Geneva, 22 September 2023 | PR/2023/1", "en"),
        ("22 septembre 2023", "fr"),
        ("22 de septiembre de 2023", "es"),
        ("22 сентября 2023 г.", "ru"),
        ("22 سبتمبر 2023", "ar"),
        ("٢٢ أيلول/سبتمبر ٢٠٢٣", "ar"),
        ("2023年9月22日", "zh"),
        ("22.09.2023", "de"),
        ("22/09/2023", "fr"),
        ("2023/09/22", "zh"),
        ("<time datetime='2023-09-22T10:00:00Z'></time>", "en"),
    ],
)
def test_the_day_near_the_title_is_found_in_any_language(day: str, lang: str) -> None:
    """Not the one of the event, nor the one of the last change."""
    body = f"<h1>The title of this page</h1><p>{day}</p><p>{WORDS} It was held on 3 May 2021.</p>"
    found = page(html(body, lang=lang) + "<footer>© 2019. Last updated: 4 June 2020</footer>")
    assert (found.date, found.body) == (DAY, f"{WORDS}It was held on 3 May 2021.")


@pytest.mark.parametrize("day", ["", "<p>20-21 September 2023</p>", "<p>3/4/2023</p>", "<p>Updated: 4 June 2020</p>"])
def test_a_day_that_can_not_be_told_is_not_guessed(day: str) -> None:
    assert page(html(f"<h1>The title of this page</h1>{day}<p>{WORDS}</p>")).date is None


@pytest.mark.parametrize(
    "day",
    [
        *(f"<time datetime='{each}'>x</time>" for each in (*IMPOSSIBLE, "2023-09-22T10:00:00+99:99")),
        *(f"<p>{each}</p>" for each in ("0000-00-00", "31 December 9999", "9" * 5000)),
    ],
)
def test_a_day_that_can_not_be_is_none(day: str) -> None:
    assert page(html(f"<h1>The title of this page</h1>{day}<p>{WORDS}</p>")).date is None


@pytest.mark.parametrize(
    ("lang", "title", "text"),
    [
        (
            "ar",
            "اختتام المحادثة الثامنة حول الذكاء الاصطناعي",
            "شارك في المحادثة أكثر من ألفي خبير من مئة وستين بلدا. ",
        ),
        (
            "zh",
            "第八届对话会闭幕",
            "来自一百六十个国家的两千多名专家参加了对话会，讨论了生成式人工智能对知识产权的影响。",
        ),
        (
            "ru",
            "Восьмая беседа завершилась",
            "В беседе приняли участие более двух тысяч экспертов из ста шестидесяти стран. ",
        ),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "windows-1251"])
def test_any_script_and_encoding(lang: str, title: str, text: str, charset: str) -> None:
    if charset == "windows-1251" and lang != "ru":
        charset = {"ar": "windows-1256", "zh": "gb2312"}[lang]
    source = html(f"<h1>{title}</h1><p>2023-09-22</p><p>{text * 3}</p>", f"<meta charset={charset}>", lang)
    found = read(source.encode(charset), LANGUAGES)
    assert (found.title, found.language, found.date) == (title, lang, DAY)
    assert found.body == (text * 3).strip()


def test_what_the_server_says_of_the_encoding_counts() -> None:
    source = html(f"<h1>Восьмая беседа завершилась</h1><p>{'Слова и снова слова. ' * 9}</p>")
    assert read(source.encode("cp1251"), LANGUAGES, charset="windows-1251").title == "Восьмая беседа завершилась"
    assert read(source.encode("cp1251"), LANGUAGES, charset="no-such").title == "Восьмая беседа завершилась"


def test_a_server_that_says_latin_of_utf_8_is_not_believed() -> None:
    source = html(f"<h1>Où l’été s’achève</h1><p>{WORDS}</p>", "<meta charset=iso-8859-1>")
    assert read(source.encode(), LANGUAGES, charset="iso-8859-1").title == "Où l’été s’achève"


def test_html_that_is_badly_broken() -> None:
    found = page(
        f"<p>{WORDS}<div><b><h1>The title of this page<p>22 September 2023<p>{WORDS}<ul><li>{WORDS}</table></i><a href"
    )
    assert found.title == "The title of this page"
    assert found.date == DAY


@pytest.mark.parametrize("part", ["<b<i>x</b<i>", "<p<b>x", "<scr<script>ipt>x</scr</script>ipt>"])
def test_an_element_whose_name_could_not_be_written_is_read_over(part: str) -> None:
    found = page(
        html(f"<h1>The title of it</h1><p>{WORDS}</p><div>A sentence as it stands. {part}</div><p>{WORDS}</p>")
    )
    assert (found.title, found.body.count(WORDS.strip())) == ("The title of it", 2)


def test_a_page_of_three_megabytes_is_read_in_seconds() -> None:
    text = "".join(f"<p>{number}: {WORDS}</p>" for number in range(12_000))
    source = html(f"<h1>The title of this page</h1><p>22 September 2023</p>{text}")
    found = []
    assert takes_at_most(60, lambda: found.append(page(source)))
    assert len(found[0].body) > 2_900_000


@pytest.mark.parametrize("part", ["<p>x", "<a href=x>y</a>", "<table><tr><td>", "<div>", "<b>", "<ul><li>", "<br>"])
def test_a_page_that_is_made_to_keep_us_busy_does_not(part: str) -> None:
    def read() -> None:
        with suppress(BadInput):
            page(part * (600_000 // len(part)) + WORDS)

    assert takes_at_most(30, read)


@pytest.mark.parametrize(
    "source",
    [
        "",
        " ",
        "<html></html>",
        "\0",
        "<!-- -->",
        html("<h1>Title</h1>"),
        html("<ul>" + "<li><a href='/x'>A headline</a></li>" * 50),
        "<" * 5000,
    ],
)
def test_a_page_without_a_text_says_so(source: str) -> None:
    with pytest.raises(BadInput, match="there is no text on it"):
        page(source)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "https://e.org/&#10;Bcc: x",
        "https://e.org/&#xe000;to&#xe001;",
        "data:text/html,x",
        "https://[::1",
        " ",
    ],
)
def test_no_address_that_a_page_gives_brings_in_anything_else(address: str) -> None:
    """D-14: no line break, no control character, no mark of a slot, no other scheme."""
    head = f"<link rel=canonical href='{address}'><meta property='og:image' content='{address}'>"
    found = page(html(f"<h1>The title of this page</h1><p>{WORDS}<a href='{address}'>x</a></p>", head))
    assert (found.url, found.source, found.image) == (None, None, None)
    assert "\ue000" not in found.body
    assert not re.search(r"\]\((?!https://e\.org/%0A)", found.body)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_on_a_page_can_run(attack: str) -> None:
    """D-164: as text it is shown, and nothing else."""
    found = page(
        html(f"<h1>The title of this page</h1><p>22 September 2023</p><p>{WORDS}</p><div>{attack}</div><p>{WORDS}</p>")
    )
    shown = to_html(found.body).lower()
    assert not re.search(r"<(script|svg|iframe|form|style|img|math|a href=.(?!https?:|mailto:))", shown)


@settings(max_examples=40)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([*ATTACKS, WORDS, "<p>", "<div>", "<table>", "\ue000"])).map(
        lambda parts: "".join(parts).encode()
    )
)
def test_whatever_it_is_a_page_or_a_bad_one(source: bytes) -> None:
    with suppress(BadInput):
        assert read(source, LANGUAGES).body
