"""Walk through the product in a language whose every text is marked ⟦so⟧, and print each text that is not.

    python -m tests.project.pseudo FOLDER

Run by `test_pseudo.py` in a process of its own, with a copy of the package that has one catalogue more.
"""

import os
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from ..conftest import migrate
from ..installation import Installation
from ..servers.smtp import SmtpServer
from ..tour import letters, scenes

CODE = "eo"  # a language that no catalogue of ours is in, and whose dates Babel can write
MARKED = re.compile("⟦[^⟦⟧]*⟧")
SPOKEN = ("alt", "aria-label", "placeholder", "title")  # attributes that readers meet
# What no translator is shown: addresses, links, dates, names, the announcements.
PROPER = re.compile(
    r"https?://\S+|\S+@\S+|\d{4}-[A-Z]\w+-\d\d|\d+ [A-Z]\w+ \d{4}|\d+ [A-Z][a-z]{2}\b|UTC|Esperanto|English|Français"
    r"|Frontier Technologies|Example Organisation|1 Example Road, 1200 Example Town"
    r"|What 160 countries discussed|The Conversation closed on Thursday. The agenda was long"
    r"|how models are trained|who owns what they make"
    r"|Policy|Data and infrastructure"
)


class Spoken(HTMLParser):
    """The texts of a page that are in its own language."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.others: list[bool] = []  # for each open element: is it in another language, or not for reading?
        self.goes_on = False  # in the midst of a text: a name that only has a direction of its own is part of it
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.goes_on = tag == "bdi"
        if tag in ("meta", "link", "input", "img", "br", "hr"):
            self.texts += self.spoken(given)
            return
        self.others.append(tag in ("style", "script") or given.get("lang", CODE) != CODE)
        self.texts += self.spoken(given)

    def spoken(self, given: dict[str, str | None]) -> list[str]:
        return [] if any(self.others) else [text for name in SPOKEN if (text := given.get(name))]

    def handle_endtag(self, tag: str) -> None:
        self.others.pop()
        self.goes_on = tag == "bdi"

    def handle_data(self, text: str) -> None:
        if any(self.others):
            return
        if self.goes_on:
            text = self.texts.pop() + text
        self.texts.append(text)


def unmarked(text: str) -> list[str]:
    """The words of a text that no translator was shown."""
    while MARKED.search(text):
        text = MARKED.sub(" ", text)
    return re.findall(r"\w*[^\W\d_]\w*", PROPER.sub(" ", text))


def walk(folder: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of all that readers meet."""
    url = f"sqlite:///{folder / 'mailer.db'}"
    migrate(url)
    with SmtpServer() as server:
        here = Installation(folder, url, server)
        here.configure(LANGUAGES=f"en,fr,{CODE}")
        for scene in scenes(here):
            yield from ((scene.name, text) for text in Spoken(scene.answer(here, lang=CODE).text).texts)
        for mail in letters(here, [CODE]):
            texts = [mail.subject, *mail.part("plain").splitlines(), *Spoken(mail.part("html")).texts]
            yield from ((f"letter: {mail.subject}", text) for text in texts)
        here.close()


def main(folder: Path) -> None:
    os.chdir(folder)
    for where, text in walk(folder):
        for word in unmarked(text):
            sys.stdout.write(f"{where}: {word!r} in {text.strip()!r}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
