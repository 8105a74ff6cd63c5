"""What an announcement's Markdown becomes: HTML that can do no harm, and text that reads as if written by hand."""

import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.letters.markdown import addresses, first_paragraph, to_html, to_text

TEXT = [
    ("", ""),
    ("one\ntwo\n\nthree", "one two\n\nthree"),
    ("one  \ntwo", "one\ntwo"),
    ("*a* **b** `c`", "a b c"),
    ("# A\n\n## B\n\ntext", "A\n-\n\nB\n-\n\ntext"),
    ("a\n\n***\n\nb", "a\n\n* * *\n\nb"),
    ("- a\n- b\n\nend", "- a\n- b\n\nend"),
    ("- a\n\n- b", "- a\n\n- b"),
    ("- a\n\n  more\n- b", "- a\n\n  more\n\n- b"),
    ("1. a\n2. b", "1. a\n2. b"),
    ("9) a\n10) b\n\n    c", "9) a\n\n10) b\n\n    c"),
    ("- a\n  - b\n  - c\n- d\n\nend", "- a\n  - b\n  - c\n- d\n\nend"),
    ("1. a\n   - b\n2. c", "1. a\n   - b\n2. c"),
    ("- a\n\n# B\n\nc", "- a\n\nB\n-\n\nc"),
    ("## [数据](https://e.org/x)", "数据\n----\nhttps://e.org/x"),
    ("- a\n\n```\nb\n```\n\nc", "- a\n\nb\n\nc"),
    ("> a\n> b\n>\n> c", "> a b\n\n> c"),
    ("> - a\n> - b\n>\n> c", "> - a\n> - b\n\n> c"),
    ("- > a\n  > b", "- > a b"),
    ("```\nif a:\n  b\n```\n\nc", "if a:\n  b\n\nc"),
    ("    a\n      b", "a\n  b"),
    ("[a](https://e.org/x) b", "a b\nhttps://e.org/x"),
    ("- [a](https://e.org/x) b\n- c", "- a b\n  https://e.org/x\n- c"),
    ("[a](https://e.org/x) [b](https://e.org/x)", "a b\nhttps://e.org/x"),
    ("<https://e.org/x>", "https://e.org/x"),
    ("[https://e.org/x](https://e.org/x)", "https://e.org/x"),
    ("[home](https://e.org) <https://e.org/x>", "home https://e.org/x\nhttps://e.org"),
    ("[mail](mailto:a@e.org)", "mail\nmailto:a@e.org"),
    ("![a *c*at &amp; I](https://e.org/c.png)", "a cat & I\nhttps://e.org/c.png"),
    ("![a cat](https://e.org/c.png)", "a cat\nhttps://e.org/c.png"),
    ("[x][1]\n\n[1]: https://e.org/x", "x\nhttps://e.org/x"),
    ("<b>bold</b> & &amp; &eacute;", "<b>bold</b> & & é"),
    ("مرحبا **بكم**", "مرحبا بكم"),
]
HTML = [
    ("", ""),
    ("one\ntwo", "<p>one\ntwo</p>\n"),
    ("one  \ntwo", "<p>one<br>\ntwo</p>\n"),
    ("*a* **b** `c`", "<p><em>a</em> <strong>b</strong> <code>c</code></p>\n"),
    ("# A\n## B\n#### D\n###### F", "<h3>A</h3>\n<h4>B</h4>\n<h5>D</h5>\n<h6>F</h6>\n"),
    ("## A\n#### B\n## C\n# D", "<h3>A</h3>\n<h4>B</h4>\n<h4>C</h4>\n<h3>D</h3>\n"),
    ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
    ("- a\n\n- b", "<ul>\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n</li>\n</ul>\n"),
    ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
    ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
    ("***", "<hr>\n"),
    ("```sh\na < b\n```", "<pre><code>a &lt; b\n</code></pre>\n"),
    ('[a](https://e.org/?x=1&y=2 "t")', '<p><a href="https://e.org/?x=1&amp;y=2" title="t">a</a></p>\n'),
    ("[a](http://e.org)", '<p><a href="http://e.org">a</a></p>\n'),
    ("[a](mailto:a@e.org)", '<p><a href="mailto:a@e.org">a</a></p>\n'),
    ('[a](https://e.org "<b>")', '<p><a href="https://e.org" title="&lt;b&gt;">a</a></p>\n'),
    ("![a cat](https://e.org/c.png)", '<p><img src="https://e.org/c.png" alt="a cat"></p>\n'),
    ("<b>x</b> &copy;", "<p>&lt;b&gt;x&lt;/b&gt; ©</p>\n"),
    ("<div>\nx\n</div>", "<p>&lt;div&gt;\nx\n&lt;/div&gt;</p>\n"),
]
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//e.org/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<style>* { display: none }</style>",
    "<iframe src=https://e.org></iframe><form action=https://e.org><input></form>",
    "<p style='position: fixed' onclick=alert(1)>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#x73;cript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "[x]\n\n[x]: javascript:alert(1)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "![x](data:image/png;base64,AAAA)",
    '![x" onerror="alert(1)](https://e.org/x.png)',
    '[x](https://e.org/"onmouseover="alert(1))',
    '[x](https://e.org "t\\" onmouseover=\\"alert(1)")',
    "`<script>`\n\n    <script>alert(1)</script>",
    "```<script>\n</code></pre><script>alert(1)</script>\n```",
    "<!-- --><script>alert(1)</script><!-- -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<math><mtext><style><img src onerror=alert(1)>",
    "\\<script>alert(1)\\</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
]
TAGS = {
    "p",
    "br",
    "hr",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "code",
    "em",
    "strong",
    "a",
    "img",
}
ATTRIBUTES = {"href", "title", "src", "alt", "start"}
SCHEMES = {"https:", "http:", "mailto:"}
MARKS = [*"ab <>&\"'()[]!`*_#-+>|=~:\t\n", "\n\n", "    ", "1. ", "- ", "> ", "```\n", "](", "<a href=", "<script>"]
TRAPS = ["https://e.org", "javascript:", "data:", "&#1;", "&#x80;", "&#x85;", "&lt;", "&colon;", "\0", "\u2028", "\r"]
MARKDOWN = st.one_of(st.text(), st.lists(st.sampled_from([*MARKS, *TRAPS]), max_size=60).map("".join))


class Reader(HTMLParser):
    """What a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")


def check_harmless(html: str) -> None:
    found = Reader(html)
    assert found.tags <= TAGS
    assert set(found.attributes) <= ATTRIBUTES
    for address in found.attributes.get("href", []) + found.attributes.get("src", []):
        scheme = re.match(r"[a-z][a-z0-9+.-]*:", re.sub(r"[\x00-\x20]", "", address).lower())
        assert not scheme or scheme[0] in SCHEMES, address


@pytest.mark.parametrize(("source", "text"), TEXT)
def test_text_reads_as_if_written_by_hand(source: str, text: str) -> None:
    assert to_text(source) == text


@pytest.mark.parametrize(("source", "html"), HTML)
def test_html_is_what_markdown_means(source: str, html: str) -> None:
    assert to_html(source) == html


@pytest.mark.parametrize("source", ATTACKS)
def test_nothing_in_the_source_runs(source: str) -> None:
    check_harmless(to_html(source))


def test_html_in_the_source_is_shown_in_both_forms() -> None:
    assert "&lt;script&gt;" in to_html("<script>")
    assert to_text("<script>") == "<script>"


@pytest.mark.parametrize("source", ["\ue000to\ue001", "&#xe000;to&#xe001;", "&#57344;to&#57345;"])
def test_the_source_can_not_make_a_slot(source: str) -> None:
    """A slot's marks in a text would put the reader's address or link there, or break the letter."""
    for made in (to_html(source), to_text(source), first_paragraph(source)):
        assert not {"\ue000", "\ue001"} & set(made)


@pytest.mark.parametrize(
    ("source", "paragraph"),
    [
        ("", ""),
        ("# Only a heading", ""),
        ("# A\n\n- item\n\nb", "item"),
        ("The **first**\n[one](https://e.org).  \nHere.\n\nThe second", "The first one. Here."),
        ("> quoted\n\nb", "quoted"),
    ],
)
def test_the_first_paragraph_is_one_line(source: str, paragraph: str) -> None:
    assert first_paragraph(source) == paragraph


def test_addresses_are_found_wherever_they_stand() -> None:
    source = "[a](https://a.org)\n\n> - ![b](https://b.org/x.png)\n\n**<mailto:c@c.org>** [d]\n\n[d]: foo"
    assert addresses(source) == ["https://a.org", "https://b.org/x.png", "mailto:c@c.org", "foo"]


@given(MARKDOWN)
def test_any_source_gives_harmless_html_and_text_without_new_control_characters(source: str) -> None:
    check_harmless(to_html(source))
    text = to_text(source)
    assert {character for character in text if unicodedata.category(character) == "Cc"} <= {*source, "\n"}
    assert all(address in text for address in addresses(source))
    assert "\n" not in first_paragraph(source)
