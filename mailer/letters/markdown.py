"""Announcement Markdown as mail wants it: clean HTML, and plain text that reads as if written by hand.

HTML in the source is shown as text, never run; the output is sanitised all the same.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mailer.letters.plain import underlined
from mailer.letters.slots import CLOSE, OPEN

SCHEMES = {"https", "http", "mailto"}
TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "a", "img"),
}
# A start tag with what stands behind its name, each value in double quotes.
VALUED = re.compile(r'<([a-zA-Z][^\s<>"/]*)((?:[^<>"]+|"[^"]*")*+)>')
ATTRIBUTES = {"*": {"lang", "dir"}, "a": {"href", "title"}, "img": {"src", "alt"}, "ol": {"start"}}


@cache
def parser(*, strict: bool = True) -> MarkdownIt:
    """One that is not strict takes javascript: and the like for links too, so that they can be refused by name."""
    made = MarkdownIt("commonmark", {"html": False})
    if not strict:
        made.validateLink = lambda url: True  # type: ignore[method-assign]  # its documented hook
    return made


def to_html(source: str, *, top: int = 3) -> str:
    """Sanitised HTML; headings start at h3, below the letter's title and the announcement's, and skip no level."""
    tokens = parser().parse(source)
    ranks = sorted({token.tag for token in tokens if token.type == "heading_open"})
    level = top - 1
    for token in tokens:
        if token.type == "heading_open":
            level = min(ranks.index(token.tag) + top, level + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"
    html = parser().renderer.render(tokens, parser().options, {})
    clean = nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel=None)
    return without_marks(without_brackets_in_values(clean))


def without_brackets_in_values(html: str) -> str:
    """HTML as a parser wrote it, where an attribute's value may hold < and >. Those become entities: filters on a
    letter's way look for `<script` without a parser, and ours for `<!--`."""
    return VALUED.sub(lambda tag: f"<{tag[1]}{tag[2].replace('<', '&lt;').replace('>', '&gt;')}>", html)


def addresses(source: str) -> list[str]:
    """Every address that a link or an image of the source points to, in order."""
    return [address for address, _ in located(source)]


def located(source: str) -> list[tuple[str, int]]:
    """Every address with the line its block begins on, counted from 0; those that no letter would link to, too."""
    return [
        (address, token.map[0] if token.map else 0)
        for token in parser(strict=False).parse(source)
        for each in walk([token])
        if (address := target(each))
    ]


def pictures(source: str) -> list[str]:
    """The address of every image of the source."""
    return [str(each.attrGet("src")) for each in walk(parser(strict=False).parse(source)) if each.type == "image"]


def without_marks(text: str) -> str:
    """An entity like &#xE000; must not make a slot."""
    return text.replace(OPEN, "").replace(CLOSE, "")


def to_text(source: str) -> str:
    """Plain text: paragraphs unwrapped, headings underlined, each link's address on a line below its block."""
    lines: list[str] = []
    indents: list[str] = []
    tight = False  # in a list whose items stand without empty lines between them
    for before, token in pairwise([START, *parser().parse(source)]):
        tight = token.hidden if token.type == "paragraph_open" else tight and token.type not in LOOSE
        if token.type in OPENING:
            indents.append(marker(token))
        elif token.type in CLOSING:
            indents.pop()
        elif token.type == "hr":
            lines += ["* * *", ""]
        elif token.type in ("inline", "fence", "code_block"):
            lines += [*indented(block_text(token, before), indents), *([] if tight else [""])]
        elif token.type in ("bullet_list_close", "ordered_list_close") and set(indents) <= {"> "}:
            lines += [""] if tight else []
    return without_marks("\n".join(lines)).strip()


def first_paragraph(source: str) -> str:
    """The first paragraph as one line of text without its links' addresses; empty if there is none."""
    tokens = parser().parse(source)
    for opening, inline in pairwise(tokens):
        if opening.type == "paragraph_open":
            return without_marks(one_line(plain(inline.children or [])))
    return ""


def one_line(text: str) -> str:
    """Runs of blanks as one; a no-break space, which French wants before a colon, stays."""
    return re.sub(r"[ \t\r\n]+", " ", text).strip(" ")


OPENING = {"blockquote_open", "list_item_open"}
LOOSE = {"heading_open", "fence", "code_block", "hr"}
CLOSING = {"blockquote_close", "list_item_close"}
START = Token("start", "", 0)


def marker(token: Token) -> str:
    if token.type == "blockquote_open":
        return "> "
    return f"{token.info}{token.markup} " if token.info else "- "


def indented(words: str, indents: list[str]) -> list[str]:
    """The lines of a block behind its marks: `> ` on every line, `- ` on an item's first only."""
    first = "".join(indents)
    for depth, mark in enumerate(indents):  # an item's mark is spent by its first line
        if mark != "> ":
            indents[depth] = " " * len(mark)
    rest = "".join(indents)
    head, *tail = words.split("\n")
    return [first + head, *(rest + line for line in tail)]


def block_text(token: Token, before: Token) -> str:
    children = token.children
    if not children:
        return token.content.rstrip()
    text = plain(children)
    if before.type == "heading_open":
        text = underlined(text, "-")
    words = {token.content for token in children}  # the text of <https://…> is its address
    shown = [address for token in children if (address := target(token)) and address not in words]
    return "\n".join([text, *dict.fromkeys(shown)])


def plain(children: Sequence[Token]) -> str:
    return "".join(map(said, children))


def said(token: Token) -> str:
    if token.type == "image":  # whose content is its source
        return plain(token.children or [])
    return {"softbreak": " ", "hardbreak": "\n"}.get(token.type, token.content)


def target(token: Token) -> str | None:
    address = token.attrGet("href") or token.attrGet("src")
    return str(address) if address else None


def walk(tokens: Sequence[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *walk(token.children or []))]
