"""How long the letters of one digest take to be rendered, in all languages, by the product in a process of its own."""

import sys
from pathlib import Path
from tempfile import mkdtemp

from .installation import SENTENCE, Installation, environment
from .processes import measure

LANGUAGES = ("en", "fr", "es", "ru", "ar", "zh")
SCRIPT = """
import sys, time
from mailer.app import create_app
from mailer.digests import compose, editions

with create_app().app_context():
    begun = time.perf_counter()
    editions.render_all(compose.find(int(sys.argv[1])))
    print(time.perf_counter() - begun)
"""


def seconds(parent: Path, count: int) -> float:
    """A digest of `count` announcements in six languages, each with a translation of its own."""
    new = Installation(Path(mkdtemp(dir=parent)), 0)
    new.mailer("init")
    names = [write(new.folder, number, code) for number in range(count) for code in LANGUAGES]
    digest = new.mailer("digest", "compose", *names).output.splitlines()[-1]
    command = [sys.executable, "-c", SCRIPT, digest]
    return float(measure(command, new.folder, environment({})).output)


def write(folder: Path, number: int, code: str) -> str:
    name, key = f"{number}.{code}.md", f"news-{number}"
    joined = f"key: {key}" if code == LANGUAGES[0] else f"translation-of: {key}\nlanguage: {code}"
    head = f"---\ntitle: News {number}\ndate: 2024-03-01\nurl: https://example.org/{number}\n{joined}\n---\n"
    (folder / name).write_text(head + SENTENCE * 4, encoding="utf-8")
    return name
