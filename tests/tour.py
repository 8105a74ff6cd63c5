"""Every page and every letter, for tests that look at all of them. A new page is one line in `Tour.scenes`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import time_machine
from flask import template_rendered
from jinja2 import Template

from .installation import Installation, leave_link, link_in
from .servers.smtp import Mail

TEMPLATES = Path(__file__).parent.parent / "templates"
OPERATOR = {"ORGANISATION": "Example Organisation", "POSTAL_ADDRESS": "1 Example Road, 1200 Example Town"}
NOT_ON_THE_TOUR = {"pages/base.html"}  # and the demo's own pages, which are for developers


@dataclass(frozen=True)
class Scene:
    """A page as somebody meets it: opened, or posted to with the fields of a form."""

    name: str
    path: str
    form: Mapping[str, str] | None = None
    status: int = 200


class Tour:
    """An installation in which every page has something to show."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        here.configure(**OPERATOR)
        here.subscribed("ada@example.org", "left@example.org")
        here.run("digest", "send", here.draft(), "--yes")
        self.digest = link_in(here.letters("ada@example.org")[0], "archive").partition("?")[0]
        self.leave = leave_link(here.letters("ada@example.org")[0]).partition("?")[0]
        self.left = leave_link(here.letters("left@example.org")[0]).partition("?")[0]
        here.run("subscriber", "unsubscribe", "left@example.org")
        self.confirm = self.asked("pending@example.org")
        self.done = self.asked("done@example.org")
        here.confirm("done@example.org")
        with time_machine.travel("2020-01-01T12:00:00Z"):
            self.expired = self.asked("late@example.org")

    def asked(self, email: str) -> str:
        """The confirmation link of somebody who signs up."""
        self.here.sign_up(email)
        self.here.run("run-due")
        return link_in(self.here.letters(email)[-1], "confirm").partition("?")[0]

    def scenes(self) -> list[Scene]:
        """None of them changes anything that another shows, so they may be seen in any order and often."""
        wrong = {"email": "ada at example", "language": "tlh", "frequency": "hourly", "topics": "Not a topic!"}
        return [
            Scene("form", "/"),
            Scene("form with an error", "/subscribe", {"email": "ada at example"}, 400),
            Scene("form with every error", "/subscribe", wrong, 400),
            Scene("form left empty", "/subscribe", {"email": ""}, 400),
            Scene("check your mail", "/subscribe", {"email": "pending@example.org"}),
            Scene("confirm", self.confirm),
            Scene("confirmed", self.done, {}),
            Scene("expired", self.expired, {}, 410),
            Scene("leave", self.leave),
            Scene("goodbye", self.left, {}),
            Scene("left", self.left),
            Scene("archive", "/archive"),
            Scene("digest", self.digest),
            Scene("privacy", "/privacy"),
            Scene("not found", "/nowhere", status=404),
            Scene("bad request", "/subscribe", {"email": "a" * 70_000}, 413),
        ]


def letters(here: Installation, codes: Sequence[str]) -> list[Mail]:
    """Every kind of letter in each of these languages."""
    here.configure(**OPERATOR)
    mails: list[Mail] = []
    for code in codes:
        reader, other = f"reader-{code}@example.org", f"new-{code}@example.org"
        here.subscribed(reader, language=code)
        here.sign_up(reader)
        here.sign_up(other, language=code)
        here.run("run-due")
        mails += here.letters(reader) + here.letters(other)
    here.mail_server.mails.clear()
    here.run("digest", "send", here.draft(), "--yes")
    return [*mails, *(mail for mail in here.mail_server.mails if mail.to.startswith("reader-"))]


@contextmanager
def rendered() -> Iterator[set[str]]:
    """The names of the templates that are rendered meanwhile, by the site and by commands."""
    names: set[str] = set()

    def note(_app: object, template: Template, **_: object) -> None:
        names.add(str(template.name))

    with template_rendered.connected_to(note):
        yield names


def every_template() -> set[str]:
    """What must be seen on a tour: all pages, and each letter's subject, text and HTML."""
    pages = {f"pages/{path.name}" for path in (TEMPLATES / "pages").glob("*.html")}
    letters = {path.relative_to(TEMPLATES).as_posix() for path in (TEMPLATES / "letters").glob("*/*")}
    return pages - NOT_ON_THE_TOUR | letters
