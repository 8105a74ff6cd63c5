"""HTML of others as Markdown: what it says and how it is built stays, what it could do does not."""

import html
import re

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.digests.prose import blocks, to_markdown
from mailer.letters.markdown import to_html

BASE = "https://news.example.org/2023/page.html"
CASES = [
    ("<p>one\n  two</p><p>three</p>", "one two\n\nthree"),
    ("one<div>two</div>three", "one\n\ntwo\n\nthree"),
    ("<p>a<br>b</p>", "a\\\nb"),
    ("<p>a <b>b</b>, <i>c</i> <strong><em>d</em></strong> <code>e*</code></p>", "a **b**, *c* ***d*** `e*`"),
    ("<p>a<b> b </b>c</p>", "a **b** c"),
    ("<p>x<b>,y</b>z</p>", "x,yz"),
    ("<h2>A <b>b</b></h2><h3>C #</h3>", "## A b\n\n### C \\#"),
    ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>", "- a\n- b\n  - c"),
    ("<ul><li><p>a</p><p>b</p></li><li>c</li></ul>", "- a\n\n  b\n\n- c"),
    ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b"),
    ("<ol start=x><li>a</li></ol>", "1. a"),
    ("<ul></ul><ol><li> </li></ol><p> </p>", ""),
    ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
    ("<blockquote>a<ul><li>b</li></ul></blockquote>", "> a\n>\n> - b"),
    ("<pre>a\n  b *c*</pre>", "```\na\n  b *c*\n```"),
    ("<pre>```</pre>", "````\n```\n````"),
    ("<p>a</p><hr><p>b</p>", "a\n\n***\n\nb"),
    ("<table><tr><th>Day</th><th>Room</th></tr><tr><td>1</td><td>A</td></tr></table>", "- Day · Room\n- 1 · A"),
    ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\n\nc"),
    ("<p><a href='/x?a=1&amp;b=2'>y</a></p>", "[y](https://news.example.org/x?a=1&b=2)"),
    ("<p><a href='x (1).html'>y</a></p>", "[y](https://news.example.org/2023/x%20%281%29.html)"),
    ("<p><a href='https://e.org/x'>https://e.org/x</a></p>", "<https://e.org/x>"),
    ("<p>so!<a href='https://e.org'>y</a></p>", "so\\![y](https://e.org)"),
    ("<p><a href='https://e.org'>a <b>b</b> [c]</a></p>", "[a **b** \\[c\\]](https://e.org)"),
    ("<p><a href='mailto:a@e.org'>mail</a></p>", "[mail](mailto:a@e.org)"),
    ("<p><a href='#top'>up</a> <a href='javascript:alert(1)'>run</a> <a href='data:,x'>x</a></p>", "up run x"),
    ("<a href='https://e.org'><div>card</div></a>", "card"),
    ("<p>a<script>alert(1)</script><style>x{}</style><img src=x alt=y>b</p>", "ab"),
    ("<p>1. no list</p><p># no heading</p><p>- no item</p>", "1\\. no list\n\n\\# no heading\n\n\\- no item"),
    ("<p>&gt; no quote</p><p>---</p><p>===</p>", "\\> no quote\n\n\\---\n\n\\==="),
    (
        "<p>2 * 3, snake_case, _x_, [y], &lt;b&gt;, &amp;amp;</p>",
        "2 \\* 3, snake_case, \\_x\\_, \\[y\\], \\<b>, \\&amp;",
    ),
    ("<p>20-21 September: 5 &lt; 6 &amp; more</p>", "20-21 September: 5 < 6 & more"),
    ("<p>a<br>- b</p>", "a\\\n\\- b"),
    ("<p>\ue000to\ue001 so\u00adft \u2028</p>", "to soft"),
    ("<p>مرحبا <b>بكم</b></p>", "مرحبا **بكم**"),
]


@pytest.mark.parametrize(("source", "markdown"), CASES)
def test_html_as_markdown(source: str, markdown: str) -> None:
    assert to_markdown(lxml.html.fragment_fromstring(source, create_parent="div"), BASE) == markdown


def test_a_block_knows_whether_it_is_nothing_but_links() -> None:
    root = lxml.html.fragment_fromstring(
        "<p><a href='/a'>a</a> <a href='/b'>b</a></p><p><a href='/a'>a</a> b</p><ul><li><a href='/a'>a</a></li></ul>",
        create_parent="div",
    )
    assert [block.is_links for block in blocks(root, BASE)] == [True, False, True]


WORDS = st.text(st.sampled_from([*"ab1 .,*_#-+>!|=~:&;()[]<`\\é中م\n"]), min_size=1, max_size=12).map(html.escape)


def element(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tags = st.sampled_from(["p", "div", "b", "i", "code", "h2", "blockquote", "li", "ul", "ol", "pre", "span", "td"])
    link = st.builds("<a href='{}'>{}</a>".format, st.sampled_from(["/x", "https://e.org/a_b*c(d)&copy;"]), inner)
    many = st.lists(inner, max_size=4).map("".join)
    return link | st.just("<br>") | many | st.builds(lambda tag, held: f"<{tag}>{held}</{tag}>", tags, many)


def said(source: str) -> str:
    """The words that a reader of the page sees, without blanks."""
    whole = lxml.html.fragment_fromstring(source or " ", create_parent="div").text_content()
    return re.sub(r"\s", "", whole)


@settings(max_examples=300)
@given(st.recursive(WORDS, element, max_leaves=12))
def test_no_word_is_lost_and_none_becomes_a_mark(source: str) -> None:
    """Read as CommonMark again, it says what the page said."""
    root = lxml.html.fragment_fromstring(source, create_parent="div")
    markdown = to_markdown(root, BASE)
    assert said(to_html(markdown)) == re.sub(r"\s", "", root.text_content())
