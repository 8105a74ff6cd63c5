"""Every page and every letter, for tests that look at all of them. A new page is one line in `Tour`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import sqlalchemy as sa
import time_machine
from flask import template_rendered
from jinja2 import Template
from werkzeug.test import TestResponse

from mailer.db import db

from .archives import change, fill
from .installation import Installation, leave_link, link_in
from .servers.smtp import Mail

TEMPLATES = Path(__file__).parent.parent / "templates"
OPERATOR = {"ORGANISATION": "Example Organisation", "POSTAL_ADDRESS": "1 Example Road, 1200 Example Town"}
NOT_ON_THE_TOUR = {
    "pages/base.html",
    *("pages/demo/mail.html", "pages/demo/mailbox.html"),  # the demo is for developers
}
# Behind a proxy, by whose word some come from elsewhere: those are limited.
STRANGERS = {"TRUSTED_PROXIES": 1, "LIMIT_CLIENT": "3/1h", "LIMIT_FACTOR": 1}
LONGER_THAN_LINKS = timedelta(days=8)
PARTS = ("address", "language", "frequency", "topics", "pause", "erase")


@dataclass(frozen=True)
class Scene:
    """A page as somebody meets it: opened, or posted to with the fields of a form."""

    name: str
    way: str | Callable[[], str]
    form: Mapping[str, str] | None = None
    status: int = 200
    ip: str = ""  # of somebody from elsewhere

    @property
    def path(self) -> str:
        """What can be met only once is arranged anew each time."""
        return self.way if isinstance(self.way, str) else self.way()

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Forwarded-For": self.ip} if self.ip else {}

    def answer(self, here: Installation, **query: str) -> TestResponse:
        method = "GET" if self.form is None else "POST"
        answer = here.site.open(
            self.path,
            method=method,
            data=self.form,
            query_string=query,
            headers=self.headers,
            follow_redirects=True,
        )
        assert answer.status_code == self.status, self
        return answer


class Tour:
    """An installation in which every page has something to show."""

    def __init__(self, here: Installation) -> None:
        self.here, self.numbers = here, count(1)
        here.run("topic", "add", "data-and-infrastructure")
        self.prepare_what_is_over()
        here.subscribed("ada@example.org", "left@example.org", "undecided@example.org")
        here.run("digest", "send", here.draft(), "--yes")
        self.digest = path(link_in(here.letters("ada@example.org")[0], "archive"))
        self.leave, self.undecided, self.left = map(self.way_out, ("ada", "undecided", "left"))
        here.run("subscriber", "unsubscribe", "left@example.org")
        self.goodbye = self.after_leaving(self.left)
        self.confirm, self.not_me = self.asked("pending")
        self.done, _ = self.asked("done")
        here.confirm("done@example.org")
        self.gone, _ = self.asked("gone")
        here.run("subscriber", "erase", "gone@example.org")
        _, self.disowned = self.asked("disowned")
        self.prepare_settings()
        self.prepare_the_archive()

    def prepare_what_is_over(self) -> None:
        """Links whose time is over."""
        with time_machine.travel(datetime.now(UTC) - LONGER_THAN_LINKS):
            self.old_stamp = self.stamp()
            self.expired, _ = self.asked("late")
            self.here.subscribed("busy@example.org")
            self.settings_expired = self.settings("busy")
            self.left_long_ago = found(r'href="(/unsubscribe/[^"?]+)', self.here.site.get(self.settings_expired).text)
            self.restore_over = self.moved("busy")

    def prepare_settings(self) -> None:
        """Those of somebody who gets everything, of one with a pause and one topic, and of others."""
        self.here.subscribed("paused@example.org", "leaving-the-library@example.org", "moved@example.org")
        self.mine, self.paused = self.settings("ada"), self.settings("paused")
        until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        for fields in ({"paused_until": until}, {"topics": "data-and-infrastructure"}, {"frequency": "immediate"}):
            self.here.site.post(self.paused, data=fields)
        self.of_pending, self.of_left = self.settings("pending"), self.settings("left")
        self.closed = self.settings("leaving-the-library")
        self.restore = self.moved("moved")

    def prepare_the_archive(self) -> None:
        """More digests than a page of the list has, one that needs a table of contents, and one that was corrected."""
        self.long, self.corrected, *_ = (f"/archive/{slug}" for slug in fill(self.here, 21, announcements=4))
        at = datetime.now(UTC)
        change(self.here, self.corrected.rpartition("/")[2], erratum="It was 161 countries.", corrected_at=at)

    # Ways to pages.

    def stamp(self) -> str:
        """What a form says about when it was shown."""
        return found(r'name="shown" value="([^"]+)"', self.here.site.get("/").text)

    def asked(self, name: str) -> tuple[str, str]:
        """The links of somebody who signs up: to confirm, and to say "not me"."""
        self.here.sign_up(f"{name}@example.org")
        self.here.run("run-due")
        letter = self.here.letters(f"{name}@example.org")[-1]
        return path(link_in(letter, "confirm")), path(link_in(letter, "not-me"))

    def way_out(self, name: str) -> str:
        return path(leave_link(self.here.letters(f"{name}@example.org")[0]))

    def after_leaving(self, leave: str) -> str:
        """Where one can come back, or say why one left."""
        return found(r'action="(/goodbye/[^"?]+)', self.here.site.post(leave).text)

    def settings(self, name: str) -> str:
        return path(self.here.manage_link(f"{name}@example.org"))

    def settings_of_somebody_new(self) -> str:
        name = f"new-{next(self.numbers)}"
        self.asked(name)
        self.here.confirm(f"{name}@example.org")
        return self.settings(name)

    def moved(self, name: str) -> str:
        """The link by which somebody whose address was changed can have that back."""
        self.here.site.post(self.settings(name), data={"email": f"{name}-again@example.org"})
        self.here.run("run-due")
        self.here.confirm(f"{name}-again@example.org")
        self.here.run("run-due")
        return path(link_in(self.here.letters(f"{name}@example.org")[-1], "restore"))

    # None of the scenes changes anything that another shows, so they may be seen in any order and often.

    def scenes(self) -> list[Scene]:
        return [*self.signing_up(), *self.settings_of_ones_own(), *self.leaving(), *self.reading()]

    def limited(self) -> list[Scene]:
        """What strangers meet."""
        robot = {"email": "robot@example.org", "shown": "forged"}
        return [
            Scene("one more step", "/subscribe", robot, 429, ip="203.0.113.1"),
            Scene("one more step, tried before", "/subscribe", {**robot, "altcha": "forged"}, 429, ip="203.0.113.1"),
            Scene("too many requests", self.many, {"email": "one-more@example.org"}, 429, ip="198.51.100.1"),
        ]

    def many(self) -> str:
        """Where somebody was so often that they have to come back later."""
        form, headers = {"email": "pending@example.org"}, {"X-Forwarded-For": "198.51.100.1"}
        while self.here.site.post("/subscribe", data=form, headers=headers).status_code == 200:
            pass
        return "/subscribe"

    def signing_up(self) -> list[Scene]:
        wrong = {"email": "ada at example", "language": "tlh", "frequency": "hourly", "topics": "Not a topic!"}
        return [
            Scene("form", "/"),
            Scene("form with an error", "/subscribe", {"email": "ada at example"}, 400),
            Scene("form with every error", "/subscribe", wrong, 400),
            Scene("form left empty", "/subscribe", {"email": ""}, 400),
            Scene("form with a likely slip", "/subscribe", {"email": "ada@gmial.com", "shown": self.stamp()}, 400),
            Scene(
                "form that was open too long", "/subscribe", {"email": "ada@example.org", "shown": self.old_stamp}, 400
            ),
            Scene("check your mail", "/subscribe", {"email": "pending@example.org"}),
            Scene("confirm", self.confirm),
            Scene("confirmed", self.done, {}),
            Scene("expired", self.expired, {}, 410),
            Scene("expired and gone", self.gone, {}, 410),
            Scene("not me", self.not_me),
            Scene("not me, said", self.disowned, {}),
            Scene("not me, taken back", self.not_me, {"undo": "yes"}),
        ]

    def settings_of_ones_own(self) -> list[Scene]:
        mine = self.mine
        return [
            Scene("ask for the link", "/manage"),
            Scene("ask for the link with an error", "/manage", {"email": ""}, 400),
            Scene("link sent", "/manage", {"email": "nobody@example.org"}),
            Scene("settings expired", self.settings_expired, status=410),
            Scene("settings", mine),
            Scene("settings saved", mine, {"frequency": "weekly"}),
            Scene("settings with a pause", self.paused),
            Scene("settings of who has not confirmed", self.of_pending),
            Scene("settings of who has left", self.of_left),
            *(Scene(f"change {part}", f"{mine}/{part}") for part in PARTS),
            Scene("change pause that is set", f"{self.paused}/pause"),
            Scene("change address with an error", mine, {"email": "ada@example.org"}, 400),
            Scene("change language with an error", mine, {"language": "tlh"}, 400),
            Scene("change frequency with an error", mine, {"frequency": "hourly"}, 400),
            Scene("change topics with an error", mine, {"topics": "Not a topic!"}, 400),
            Scene("change pause with an error", mine, {"paused_until": "soon"}, 400),
            Scene("change pause to the past", mine, {"paused_until": "2020-01-01"}, 400),
            Scene("new address", mine, {"email": "pending@example.org"}),
            Scene("erased", self.settings_of_somebody_new, {"erase": "yes"}),
            Scene("erased for ever", self.settings_of_somebody_new, {"erase": "yes", "never_again": "yes"}),
            Scene("closed", f"{self.closed}/close", {}),
        ]

    def leaving(self) -> list[Scene]:
        return [
            Scene("leave", self.leave),
            Scene("goodbye", self.left, {}),
            Scene("goodbye that is over", self.left_long_ago, {}),
            Scene("goodbye with an error", self.goodbye, {"reason": ""}, 400),
            Scene("goodbye, and thank you", self.goodbye, {"reason": "too-often"}),
            Scene("left", self.left),
            Scene("back", lambda: self.after_leaving(self.undecided), {"undo": "yes"}),
            Scene("restore", self.restore),
            Scene("restore over", self.restore_over, status=410),
        ]

    def reading(self) -> list[Scene]:
        return [
            Scene("archive", "/archive"),
            Scene("older digests", "/archive/page/2"),
            Scene("digest", self.digest),
            Scene("digest with contents", self.long),
            Scene("digest that was corrected", self.corrected),
            Scene("privacy", "/privacy"),
            Scene("not found", "/nowhere", status=404),
            Scene("bad request", "/subscribe", {"email": "a" * 70_000}, 413),
        ]


def found(pattern: str, page: str) -> str:
    (one,) = set(re.findall(pattern, page))
    return str(one)


def path(address: str) -> str:
    return address.partition("?")[0]


def scenes(here: Installation) -> Iterator[Scene]:
    """All there is to see, of an installation that nothing has happened in. Its settings change at once."""
    here.configure(**OPERATOR, **STRANGERS)
    return from_the_beginning(here)


def from_the_beginning(here: Installation) -> Iterator[Scene]:
    yield Scene("empty archive", "/archive")
    yield Scene("form with letters that are out of reach", "/subscribe", {"email": "zoë@example.org"}, 400)
    tour = Tour(here)
    yield from tour.scenes()
    yield from tour.limited()
    with broken(here):
        yield Scene("try again", "/", status=503)


@contextmanager
def broken(here: Installation) -> Iterator[None]:
    """A database of which a part is missing."""
    rename(here, "list", "away")
    yield
    rename(here, "away", "list")


def rename(here: Installation, table: str, name: str) -> None:
    with here.app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text(f'ALTER TABLE "{table}" RENAME TO "{name}"'))


def letters(here: Installation, codes: Sequence[str]) -> list[Mail]:
    """Every kind of letter in each of these languages."""
    here.configure(**OPERATOR, GOODBYE_LETTER="true")
    mails = [mail for code in codes for mail in letters_about_a_subscription(here, code)]
    here.mail_server.mails.clear()
    here.run("digest", "send", here.draft(), "--yes")
    return [*mails, *(mail for mail in here.mail_server.mails if mail.to.startswith("elsewhere-"))]


def letters_about_a_subscription(here: Installation, code: str) -> list[Mail]:
    reader, other, left, elsewhere = (f"{name}-{code}@example.org" for name in ("reader", "other", "left", "elsewhere"))
    here.subscribed(reader, left, language=code)
    here.sign_up(reader)
    here.sign_up(other, language=code)
    here.site.post(here.manage_link(reader), data={"email": elsewhere})
    here.run("subscriber", "unsubscribe", left)
    here.run("run-due")
    here.confirm(elsewhere)
    here.run("run-due")
    return here.letters(reader) + here.letters(other) + here.letters(left)


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
    files = [*(TEMPLATES / "pages").rglob("*.html"), *(TEMPLATES / "letters").glob("*/*")]
    return {file.relative_to(TEMPLATES).as_posix() for file in files} - NOT_ON_THE_TOUR
