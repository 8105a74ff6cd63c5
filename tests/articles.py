"""News pages for the importer: the text of one, as a browser would copy it, in HTML of better and worse kinds."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent
# Our own, and a page as it was published, where the folder that holds it lies beside the project.
SOURCES = [PROJECT / "tests/samples/forum.txt"]
SOURCES += sorted((PROJECT.parent / "shared" / "samples").glob("*-page.txt"))


@dataclass(frozen=True)
class Article:
    navigation: list[str]
    title: str
    day: str
    paragraphs: list[str]

    @classmethod
    def read(cls, path: Path) -> "Article":
        first, title, day, *rest = [
            line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()
        ]
        words = first.split()
        return cls([" ".join(words[at : at + 3]) for at in range(0, len(words), 3)], title, day, rest)

    def said(self) -> Iterator[tuple[str, bool]]:
        """Each paragraph, and whether it is a quotation: who said it stands below."""
        for text, following in zip(self.paragraphs, [*self.paragraphs[1:], ""], strict=True):
            yield html.escape(text), bool(re.fullmatch(r"M[rs]+\. \w+ said\.", following))

    def links(self, around: str = "{}") -> str:
        made = (f'<a href="/x/{number}">{html.escape(text)}</a>' for number, text in enumerate(self.navigation))
        return "".join(around.format(link) for link in made)

    @property
    def heading(self) -> str:
        return html.escape(self.title)


def well_made(article: Article) -> str:
    text = "".join(f"<blockquote><p>{p}</p></blockquote>" if quoted else f"<p>{p}</p>" for p, quoted in article.said())
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{article.heading} | The Site</title>
        <link rel="canonical" href="https://example.org/news/recap.html"></head><body>
        <header><nav><ul>{article.links("<li>{}</li>")}</ul></nav></header>
        <main><article><h1>{article.heading}</h1><p class="date">{article.day}</p>{text}
        <div class="share"><a href="https://facebook.com/s">Share on Facebook</a> <a href="https://x.com/s">Tweet</a></div>
        </article></main><footer><a href="/terms">Terms of use</a> © 2024 The Site</footer></body></html>"""


def figures(article: Article) -> str:
    """Quotations in figures, whose captions say who spoke; other news and a later date around."""
    parts, said = [], list(article.said())
    for number, (text, quoted) in enumerate(said):
        if quoted:
            parts.append(
                f"<figure><blockquote>{text}</blockquote><figcaption>{said[number + 1][0]}</figcaption></figure>"
            )
        elif not (number and said[number - 1][1]):
            parts.append(f"<p>{text}</p>")
    return f"""<!DOCTYPE html><html lang="en-US"><head><title>{article.heading} – The Site</title></head><body>
        <div class="header"><ul class="menu">{article.links("<li class='menu-item'>{}</li>")}</ul></div>
        <div class="breadcrumb"><a href="/">Home</a> &gt; <a href="/n">News</a> &gt; {article.heading}</div>
        <div class="content"><h1>{article.heading}</h1><div>{article.day}</div>{"".join(parts)}</div>
        <h3>Related news</h3><ul><li><a href="/n/1">Another thing that happened at the office last week</a></li>
        <li><a href="/n/2">And a second one that happened in Geneva</a></li></ul>
        <div class="footer">© 2024 The Site. Last updated: June 4, 2024</div></body></html>"""


def divs(article: Article) -> str:
    text = "".join(f"<div>{p}</div>" for p, _ in article.said())
    return f"""<html><head><title>{article.heading}</title></head><body>
        <div id=top>{article.links("<div>{}</div>")}</div>
        <div class=c><div>{article.heading}</div><div>{article.day}</div>{text}</div>
        <div><a href=#>Share</a></div></body></html>"""


def breaks(article: Article) -> str:
    text = "<br><br>".join(f"<i>{p}</i>" if quoted else p for p, quoted in article.said())
    return f"""<HTML><HEAD><TITLE>The Site - {article.heading}</TITLE></HEAD><BODY>
        <TABLE><TR><TD>{article.links("{}<br>")}</TD>
        <TD><FONT size=5><B>{article.heading}</B></FONT><BR>{article.day}<BR><BR>{text}<br><br>
        <a href="http://facebook.com/x">Share</a></TD></TR></TABLE></BODY></HTML>"""


def bare(article: Article) -> str:
    """Navigation that is not even links, a title of the whole site, no heading."""
    text = "".join(f"<p>{p}</p>" for p, _ in article.said())
    return f"""<html><head><title>News</title></head><body><div>{html.escape(" ".join(article.navigation))}</div>
        <p>{article.heading}</p><p>{article.day}</p>{text}</body></html>"""


WRAPPINGS: list[Callable[[Article], str]] = [well_made, figures, divs, breaks, bare]
