"""One reader from the form to the goodbye: weekly mail in Arabic about two of three topics, read in both parts of every
letter as it came."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import time_machine
from lxml import html

from ..installation import Installation, leave_link, link_in
from ..servers.smtp import Mail

ADA, BEN = "ada@example.org", "ben@example.org"
IN_ENGLISH, IN_FRENCH = "باللغة: \u2068الإنجليزية\u2069", "باللغة: \u2068الفرنسية\u2069"
NAMES = {
    "policy": ("Policy", "السياسات"),
    "copyright": ("Copyright", "حق المؤلف"),
    "patents": ("Patents", "البراءات"),
}


@dataclass(frozen=True)
class Item:
    """An announcement as one part of a letter shows it."""

    title: str
    language: str
    direction: str
    said: str  # of its language, in the reader's


@pytest.fixture
def clock(here: Installation) -> Iterator[time_machine.Traveller]:
    """A Thursday. On Saturdays goes out what is weekly, on the first what is monthly."""
    with time_machine.travel("2026-03-26T12:00:00Z") as travel:
        for key, (english, arabic) in NAMES.items():
            here.run("topic", "add", key, "--name", f"en={english}", "--name", f"ar={arabic}")
        here.run("digest", "schedule", "weekly", "--at", "Sat 08:30")
        here.run("digest", "schedule", "monthly", "--at", "1 08:30")
        yield travel


def add(here: Installation, key: str, topics: str, *languages: str) -> None:
    titles = {"en": f"About {key}", "ar": f"عن {key}", "fr": f"À propos de {key}"}
    for number, code in enumerate(languages):
        name = f"translation-of: {key}" if number else f"key: {key}\ntopics: [{topics}]"
        words = f"title: {titles[code]}\ndate: 2026-03-26\nlanguage: {code}\n{name}"
        here.run("announcement", "add", here.write(f"{key}.{code}.md", f"---\n{words}\n---\nNews of {key}: {code}.\n"))


def digests(here: Installation, email: str) -> list[Mail]:
    return [mail for mail in here.letters(email) if "News of" in mail.part("plain")]


def said_in(facts: str) -> str:
    return next((words for words in (IN_ENGLISH, IN_FRENCH) if words in facts), "")


def in_html(mail: Mail) -> list[Item]:
    """Each announcement; its title, its text and our words about it in the languages in which they are marked."""
    items = []
    for cell in html.document_fromstring(mail.part("html")).xpath("//td[h2]"):
        (heading,), (facts, text, *_) = cell.xpath("h2"), cell.xpath("p")
        assert marks(facts) == ("ar", "rtl")
        assert marks(text) == marks(heading)
        assert re.fullmatch(rf"News of \w+: {marks(text)[0]}\.", text.text_content())
        items.append(Item(heading.text_content(), *marks(heading), said_in(facts.text_content())))
    return items


def marks(element: html.HtmlElement) -> tuple[str, str]:
    """The language that it is in, and how it runs: by its own marks or those of what it stands in."""
    found = element.xpath("string((ancestor-or-self::*/@lang)[last()])")
    return found, element.xpath("string((ancestor-or-self::*/@dir)[last()])")


def in_text(mail: Mail) -> list[Item]:
    """The same of plain text, which has no marks but what is said."""
    text = mail.part("plain").replace("\r\n", "\n").partition("\n-- \n")[0]
    items = []
    for title, facts, code in re.findall(r"^(.+)\n=+\n\n(.+)\n\nNews of \w+: (\w\w)\.$", text, re.MULTILINE):
        items.append(Item(title, code, "rtl" if code == "ar" else "ltr", said_in(facts)))
    assert text.count("News of") == len(items)
    return items


def read(mail: Mail) -> list[Item]:
    """A letter in Arabic, whose parts say the same."""
    assert mail.message["Content-Language"] == "ar"
    assert marks(html.document_fromstring(mail.part("html"))) == ("ar", "rtl")
    assert in_html(mail) == in_text(mail)
    return in_html(mail)


def signed_up(here: Installation) -> None:
    """As the form in Arabic offers it: two boxes of three are ticked."""
    page = html.document_fromstring(here.site.get("/?lang=ar").text)
    labels = [box.getparent().text_content().strip() for box in page.xpath("//input[@name='topics']")]
    assert labels == [arabic for _, arabic in NAMES.values()]
    (form,) = page.xpath("//form[@method='post']")
    ticked = {"frequency": "weekly", "topics": ["policy", "copyright"]}
    answer = here.site.post(form.get("action"), data={"email": ADA, "language": "ar", **ticked})
    assert (answer.status_code, answer.headers["Content-Language"]) == (200, "ar")
    here.run("run-due")
    (letter,) = here.letters(ADA)
    assert letter.message["Content-Language"] == "ar"
    link = link_in(letter, "confirm")
    assert link in letter.part("html").replace("&amp;", "&"), "the button leads there, too"
    assert marks(html.document_fromstring(here.site.get(link).text)) == ("ar", "rtl")
    here.confirm(ADA)


def due(here: Installation, clock: time_machine.Traveller, day: str) -> None:
    """What goes out in the morning of that day; a second run finds nothing to do."""
    clock.move_to(f"{day}T08:30:00Z")
    here.run("run-due")
    here.run("run-due")


def test_a_reader_gets_what_she_chose_once_and_in_her_language(
    here: Installation, clock: time_machine.Traveller
) -> None:
    signed_up(here)
    path = here.write("people.csv", f"email,frequency\n{BEN},monthly\n")
    here.run("subscriber", "import", path, "--basis", "a test")
    add(here, "guide", "policy", "en", "ar")
    add(here, "report", "copyright", "en")
    add(here, "filing", "patents", "en", "ar")

    due(here, clock, "2026-03-28")
    (first,) = digests(here, ADA)
    guide, report = Item("عن guide", "ar", "rtl", ""), Item("About report", "en", "ltr", IN_ENGLISH)
    assert read(first) == [report, guide], "the newest first"

    clock.move_to("2026-03-30T12:00:00Z")
    add(here, "study", "patents, copyright", "fr", "ar")
    add(here, "survey", "policy", "fr")
    due(here, clock, "2026-04-01")
    assert (len(digests(here, ADA)), len(digests(here, BEN))) == (1, 1), "the month is for others"
    assert len(re.findall("News of", digests(here, BEN)[0].part("plain"))) == 5

    clock.move_to("2026-04-02T12:00:00Z")
    add(here, "forum", "", "ar", "en")
    add(here, "patent", "patents", "ar")
    due(here, clock, "2026-04-04")
    _, second = digests(here, ADA)
    study, survey = Item("عن study", "ar", "rtl", ""), Item("À propos de survey", "fr", "ltr", IN_FRENCH)
    forum = Item("عن forum", "ar", "rtl", "")  # about no topic, which everybody gets
    assert read(second) == [forum, survey, study]

    clock.move_to("2026-04-06T12:00:00Z")
    settings = here.manage_link(ADA)
    page = here.site.post(settings, data={"frequency": "monthly"}, follow_redirects=True)
    assert (page.status_code, marks(html.document_fromstring(page.text))) == (200, ("ar", "rtl"))
    assert here.json("subscriber", "show", ADA)["frequency"] == "monthly"
    add(here, "recap", "policy", "en", "ar")
    add(here, "patentee", "patents", "en")
    due(here, clock, "2026-04-11")
    assert len(digests(here, ADA)) == 2, "the week is for others now"

    due(here, clock, "2026-05-01")
    *_, third = digests(here, ADA)
    assert read(third) == [Item("عن recap", "ar", "rtl", "")], "the month began before she chose it"
    assert len(re.findall("News of", digests(here, BEN)[1].part("plain"))) == 4
    read_by_ada = [item.title for mail in digests(here, ADA) for item in read(mail)]
    assert len(read_by_ada) == len(set(read_by_ada)) == 6
    for mail in digests(here, ADA):
        for words in (mail.subject, mail.part("plain"), mail.part("html")):
            assert not re.search("(About|عن|News of) (filing|patent)", words)

    assert here.site.post(leave_link(third), data={"List-Unsubscribe": "One-Click"}).status_code == 200
    received = len(here.letters(ADA))
    add(here, "sequel", "policy", "en", "ar")
    for day in ("2026-05-02", "2026-06-01"):
        due(here, clock, day)
    assert len(here.letters(ADA)) == received
    assert "News of sequel" in digests(here, BEN)[-1].part("plain")
