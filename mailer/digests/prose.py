"""HTML that others wrote, as the Markdown of announcements: paragraphs, headings, lists, quotations, links, emphasis.

What it says is kept to the letter, however it looks: a star, a bracket or a number at the start of a line stays text.
Pictures, forms and scripts are left out.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from mailer.digests.files import FORBIDDEN, is_link

if TYPE_CHECKING:
    from lxml.html import HtmlElement

SILENT = {
    *("script", "style", "noscript", "template", "head", "title", "svg", "math", "iframe", "object", "embed", "img"),
    *("picture", "video", "audio", "canvas", "form", "button", "input", "select", "textarea", "nav"),
}
# Elements that stand in a line of text; any other one is a block.
INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "code", "data", "del", "dfn", "em", "font", "i"),
    *("ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup"),
    *("time", "tt", "u", "var", "wbr", "ruby", "rb", "rt", "rp"),
}
STRONG, EMPHASIS, CODE = {"b", "strong"}, {"i", "em"}, {"code", "kbd", "samp", "tt"}
BLANKS = re.compile(r"[ \t\r\n\f\x0b\x85\u2028\u2029]+")
UNSEEN = re.compile(r"[\u00ad\u200b\ufeff]")  # soft hyphens and the like, which only a browser knows what to do with
# What would begin a heading, a list, a quotation, a line or a fence where a line begins.
LINE_STARTS = re.compile(r"(?:#{1,6}(?= |$)|>|[-+](?= |$)|-[- ]*$|=+ *$|~~~)|(?P<number>\d{1,9})(?=[.)](?: |$))")
BREAK = "\\\n"


@dataclass(frozen=True)
class Run:
    """A stretch of text that looks the same all along. "\\n" stands for a break of the line."""

    text: str
    strong: bool = False
    emphasis: bool = False
    code: bool = False
    href: str | None = None


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading, a list, a quotation: its Markdown, and what it says without any marks."""

    markdown: str
    text: str
    links: int = 0  # characters of the text that lead elsewhere

    @property
    def is_links(self) -> bool:
        return bool(self.text) and self.links >= len(self.text)


def to_markdown(root: "HtmlElement", base: str | None) -> str:
    return "\n\n".join(block.markdown for block in blocks(root, base))


def blocks(root: "HtmlElement", base: str | None) -> list[Block]:
    """The blocks of an element in their order; `base` is what relative links are relative to."""
    found: list[Block] = []
    line: list[Run] = []

    def flush() -> None:
        found.extend(paragraph(line))
        line.clear()

    line.append(Run(root.text or ""))
    for child in root:
        if is_inline(child):
            line.extend(runs(child, base, Run("")))
        elif isinstance(child.tag, str) and child.tag not in SILENT:
            flush()
            found.extend(block(child, base))
        line.append(Run(child.tail or ""))
    flush()
    return found


def is_inline(element: "HtmlElement") -> bool:
    """A link or a span that holds blocks is a block itself."""
    return element.tag in INLINE and all(is_inline(child) or child.tag in SILENT for child in element.iterchildren("*"))


def block(element: "HtmlElement", base: str | None) -> list[Block]:
    if re.fullmatch(r"h[1-6]", element.tag):
        return heading(int(element.tag[1]), runs(element, base, Run("")))
    if element.tag == "blockquote":
        inner = blocks(element, base)
        return [joined(inner, "\n\n", "> ", "> ")] if inner else []
    if element.tag in ("ul", "ol"):
        return listing(element, base)
    if element.tag == "pre":
        return fenced(element)
    if element.tag == "hr":
        return [Block("***", "")]
    if element.tag == "table":
        return table(element, base)
    return blocks(element, base)


def paragraph(line: Iterable[Run]) -> list[Block]:
    tidy = trimmed(line)
    text = "".join(run.text for run in tidy)
    lines = written(tidy).split(BREAK)
    return [Block(BREAK.join(map(started, lines)), text, linked(tidy))] if text else []


def heading(level: int, line: Iterable[Run]) -> list[Block]:
    tidy = trimmed(replace(run, text=run.text.replace("\n", " "), strong=False) for run in line)
    text = "".join(run.text for run in tidy)
    markdown = re.sub(r"(#+)$", r"\\\1", written(tidy))  # a closing row of hashes would be dropped
    return [Block(f"{'#' * level} {markdown}", text, linked(tidy))] if text else []


def listing(element: "HtmlElement", base: str | None) -> list[Block]:
    items = [inner for inner in item_blocks(element, base) if inner]
    if not items:
        return []
    tight = all(len(inner) == 1 or is_listing(inner[1]) for inner in items)
    first = first_number(element)
    lines = []
    for number, inner in enumerate(items, first):
        mark = f"{number}. " if element.tag == "ol" else "- "
        lines.append(joined(inner, "\n" if tight else "\n\n", mark, " " * len(mark)))
    return [joined(lines, "\n" if tight else "\n\n", "", "")]


def item_blocks(element: "HtmlElement", base: str | None) -> Iterator[list[Block]]:
    """A text or another list may stand beside the items, too, where HTML does not want it."""
    yield paragraph([Run(element.text or "")])
    for item in element.iterchildren("*"):
        if item.tag not in SILENT:
            yield block(item, base) if item.tag in ("ul", "ol") else blocks(item, base)
        yield paragraph([Run(item.tail or "")])


def is_listing(inner: Block) -> bool:
    return bool(re.match(r"- |\d+\. ", inner.markdown))


def first_number(element: "HtmlElement") -> int:
    start = str(element.get("start", "1"))
    return int(start) if re.fullmatch(r"[0-9]{1,6}", start) else 1


def fenced(element: "HtmlElement") -> list[Block]:
    text = cleaned("".join(element.itertext())).strip("\n")
    ticks = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return [Block(f"{fence}\n{text}\n{fence}", text)] if text.strip() else []


def table(element: "HtmlElement", base: str | None) -> list[Block]:
    """A row as an item of a list; one that only lays out the page is taken for what is in it."""
    parts = [element, *element.iterchildren("thead", "tbody", "tfoot")]
    rows = [list(row.iterchildren("td", "th")) for part in parts for row in part.iterchildren("tr")]
    plain = all(is_inline(child) for row in rows for cell in row for child in cell.iterchildren("*"))
    if not plain or element.find(".//table") is not None or max(map(len, rows), default=0) < 2:
        return [each for row in rows for cell in row for each in blocks(cell, base)]
    lines = []
    for row in rows:
        cells = [cell for cell in (trimmed(runs(cell, base, Run(""))) for cell in row) if cell]
        line = [run for cell in cells for run in (Run(" · "), *cell)][1:]
        lines += [joined(made, "", "- ", "  ") for made in [paragraph(line)] if made]
    return [joined(lines, "\n", "", "")] if lines else []


def joined(inner: Sequence[Block], between: str, first: str, rest: str) -> Block:
    """Several blocks as one, behind marks."""
    markdown = between.join(each.markdown for each in inner)
    head, *tail = markdown.split("\n")
    lines = [first + head, *((rest + line).rstrip() for line in tail)]
    text = "\n".join(each.text for each in inner)
    return Block("\n".join(lines), text, sum(each.links for each in inner) + len(inner) - 1)


def runs(element: "HtmlElement", base: str | None, look: Run) -> Iterator[Run]:
    """What stands in an element, and how it looks."""
    if element.tag in SILENT or not isinstance(element.tag, str):
        return
    if element.tag == "br":
        yield replace(look, text="\n")
    look = replace(
        look,
        strong=look.strong or element.tag in STRONG,
        emphasis=look.emphasis or element.tag in EMPHASIS,
        code=look.code or element.tag in CODE,
        href=destination(element, base) or look.href if element.tag == "a" else look.href,
    )
    yield replace(look, text=BLANKS.sub(" ", element.text or ""))
    for child in element:
        yield from runs(child, base, look)
        yield replace(look, text=BLANKS.sub(" ", child.tail or ""))


def destination(element: "HtmlElement", base: str | None) -> str | None:
    """Where a link leads, as a whole address; None for one within the page, or one that no letter may have."""
    given = str(element.get("href", "")).strip()
    if not given or given.startswith("#"):
        return None
    try:
        whole = urljoin(base or "", given)
    except ValueError:
        return None
    whole = re.sub(r"[\s<>\\^`{|}]", lambda found: f"%{ord(found[0]):02X}" if found[0].isascii() else "", whole)
    return whole if is_link(whole) and not FORBIDDEN.search(whole) else None


def cleaned(text: str) -> str:
    return FORBIDDEN.sub("", UNSEEN.sub("", text))


def trimmed(line: Iterable[Run]) -> list[Run]:
    """One blank for many, none at the ends of lines."""
    tidy: list[Run] = []
    before = "\n"
    for run in line:
        text = cleaned(run.text if run.text == "\n" else BLANKS.sub(" ", run.text))
        if before[-1] in " \n" and text.startswith(" "):
            text = text[1:]
        if text == "\n":
            drop_blank(tidy)
        if text:
            tidy.append(replace(run, text=text))
            before = text
    while tidy and not tidy[-1].text.strip(" \n"):
        tidy.pop()
    drop_blank(tidy)
    while tidy and tidy[0].text == "\n":
        tidy.pop(0)
    return tidy


def drop_blank(tidy: list[Run]) -> None:
    if tidy and tidy[-1].text.endswith(" "):
        last = tidy.pop()
        if last.text != " ":
            tidy.append(replace(last, text=last.text[:-1]))


def linked(line: Iterable[Run]) -> int:
    return sum(len(run.text) for run in line if run.href or not run.text.strip())


def written(line: Sequence[Run]) -> str:
    """Runs as Markdown; those that one link spans become one link."""
    made = ""
    for href, same in groupby(line, key=lambda run: run.href):
        stretch = list(same)
        text = "".join(run.text for run in stretch)
        if href is None or not text.strip():
            made += styled(stretch, made[-1:])
            continue
        label = styled(stretch, "[")
        made = made[:-1] + "\\!" if made.endswith("!") else made
        made += f"<{href}>" if text == href and "&" not in href else f"[{label}]({address(href)})"
    return made


def styled(line: Sequence[Run], before: str) -> str:
    made = ""
    for look, same in groupby(line, key=look_of):
        stretch = list(same)
        text = "".join(run.text for run in stretch)
        made += marked(text, *look, before=made[-1:] or before)
    return made


def look_of(run: Run) -> tuple[bool, bool, bool]:
    code = run.code and run.text != "\n"
    return (False, False, True) if code else (run.strong, run.emphasis, False)


def marked(text: str, strong: bool, emphasis: bool, code: bool, *, before: str) -> str:
    """Text with its marks. Marks that would not be understood where they stand are left out (CommonMark 6.2)."""
    inner = text.strip(" \n")
    if not inner:
        return broken(text)
    lead, tail = text[: len(text) - len(text.lstrip(" \n"))], text[len(text.rstrip(" \n")) :]
    if code and "`" not in inner:
        return broken(lead) + f"`{inner}`" + broken(tail)
    mark = "*" * (emphasis + 2 * strong)
    stands_free = (lead or not before or before in " \n") and inner[:1].isalnum() and inner[-1:].isalnum()
    if mark and stands_free:
        return broken(lead) + mark + escaped(inner) + mark + broken(tail)
    return broken(lead) + escaped(inner) + broken(tail)


def broken(text: str) -> str:
    return text.replace("\n", BREAK)


def escaped(text: str) -> str:
    """Text that stays text. An underscore within a word, or a star between blanks, marks nothing anyway."""
    return broken(re.sub(r"[\\*`\[\]]|(?<![^\W_])_|_(?![^\W_])|<(?=[\w/!?])|&(?=#?\w+;)", r"\\\g<0>", text))


def started(line: str) -> str:
    """A line that begins with a number and a dot, a hyphen, a hash begins nothing else with it."""
    found = LINE_STARTS.match(line)
    if not found:
        return line
    digits = found["number"] or ""
    return f"{digits}\\{line[len(digits) :]}"


def address(href: str) -> str:
    """A link's address, such that no bracket or entity in it means anything."""
    href = href.replace("(", "%28").replace(")", "%29")
    return re.sub(r"[*_]|&(?=#?\w+;)", lambda found: found[0] if found[0] in "*_" else "\\&", href)
