"""Announcement files: Markdown with YAML front matter, parsed once and strictly."""

import datetime as dt
import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import yaml

from mailer.errors import BadAnnouncement
from mailer.letters import markdown
from mailer.parsing import is_word
from mailer.states import AnnouncementType

P = ParamSpec("P")
T = TypeVar("T")
FIELDS = (
    *("title", "date", "url", "topics", "language", "translation-of", "key", "summary", "image", "image-alt"),
    *("type", "deadline", "author"),
)
LONGEST = {"title": 300, "author": 200, "key": 100, "summary": 2000, "url": 2000, "image": 2000, "image-alt": 300}
LARGEST = 500_000  # bytes; a letter holds a fifth of it
# Characters that no page or letter can hold: controls, and those that mark a slot in a letter.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ue000\ue001]")
# What YAML's escapes can bring in besides.
UNPRINTED = re.compile(FORBIDDEN.pattern + r"|[\x85\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class AnnouncementFile:
    """One announcement in one language, as its file says it."""

    key: str
    is_translation: bool
    language: str
    title: str
    date: dt.date
    type: AnnouncementType
    deadline: dt.date | None
    topics: tuple[str, ...]
    author: str | None
    summary: str
    body: str
    url: str | None
    image: str | None
    image_alt: str | None
    name: str


def read(path: Path, languages: Sequence[str]) -> AnnouncementFile:
    """The announcement in a file. Raises BadAnnouncement with a line for each fault: file, line, and what to do."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadAnnouncement(f"{path} is larger than {LARGEST // 1000} kB; shorten it, and link to the whole text")
        source = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadAnnouncement(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise BadAnnouncement(f"{path} can't be read: {error.strerror}") from None
    return parse(source, str(path), languages)


def parse(source: str, name: str, languages: Sequence[str]) -> AnnouncementFile:
    """`name` stands for the file in errors."""
    return FrontMatter(source.replace("\r\n", "\n"), name).announcement(languages)


class FrontMatter:
    """A file's fields, each read with the line it stands on at hand for the error."""

    known: Sequence[str] = FIELDS

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        if found := FORBIDDEN.search(source):
            line = source.count("\n", 0, found.start()) + 1
            raise BadAnnouncement(f"{name}:{line}: a control character (U+{ord(found[0]):04X}); remove it")
        parts = re.match(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)(.*)", source, re.DOTALL)
        if not parts and source.startswith("---"):
            raise BadAnnouncement(f"{name}:1: the front matter has no end; write a line '---' before the text")
        if not parts:
            raise BadAnnouncement(
                f"{name}:1: no front matter; begin with a line '---', 'title: …', 'date: 2026-01-31', '---'"
            )
        self.head, self.body = parts[1], parts[2].strip()
        indent = len(parts[2]) - len(parts[2].lstrip())
        self.body_line = source.count("\n", 0, parts.start(2) + indent) + 1
        self.faults: list[str] = []
        self.fields = self.load()

    def load(self) -> dict[str, Any]:
        try:
            fields = yaml.load(self.head, yaml.BaseLoader) or {}  # noqa: S506 - texts, lists and mappings only
        except yaml.MarkedYAMLError as error:
            line = (error.problem_mark.line if error.problem_mark else 0) + 2
            raise BadAnnouncement(f"{self.name}:{line}: {error.problem}; quote a text that holds a colon") from None
        except yaml.reader.ReaderError as error:
            line = self.head.count("\n", 0, error.position) + 2
            raise BadAnnouncement(f"{self.name}:{line}: the character U+{error.character:04X}; remove it") from None
        except RecursionError:
            raise BadAnnouncement(f"{self.name}:2: brackets in brackets in brackets; quote the text") from None
        if not isinstance(fields, dict):
            raise BadAnnouncement(f"{self.name}:2: the front matter is not 'name: value' lines")
        for field in fields:
            if field not in self.known:
                near = difflib.get_close_matches(str(field), self.known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self.known)}"
                self.faults.append(str(self.wrong(str(field), f"unknown field; {hint}")))
        return fields

    def tried(self, parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What a field says; what is wrong with it is kept, so that all faults of a file are told at once."""
        try:
            return parse(*args, **kwargs)
        except BadAnnouncement as error:
            self.faults.append(str(error))
            return None

    def line_of(self, field: str) -> int:
        for number, line in enumerate(self.head.splitlines(), start=2):
            if re.match(rf"['\"]?{re.escape(field)}['\"]?\s*:", line):
                return number
        return 1

    def wrong(self, field: str, what: str) -> BadAnnouncement:
        return BadAnnouncement(f"{self.name}:{self.line_of(field)}: {field}: {what}")

    def text(self, field: str) -> str | None:
        value = self.fields.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(field, "is not a text; put it in quotes")
        text = markdown.one_line(value)
        if found := UNPRINTED.search(text):
            raise self.wrong(field, f"holds a control character (U+{ord(found[0]):04X}); remove it")
        if len(text) > LONGEST.get(field, 100):
            raise self.wrong(field, f"is longer than {LONGEST.get(field, 100)} characters")
        return text or None

    def required(self, field: str) -> str:
        text = self.text(field)
        if not text:
            raise self.wrong(field, "is missing; every announcement needs it")
        return text

    def day(self, field: str) -> dt.date | None:
        text = self.text(field)
        if text is None:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            raise self.wrong(field, f"{text!r} is not a date like 2026-01-31") from None

    def required_day(self, field: str) -> dt.date:
        day = self.day(field)
        if day is None:
            raise self.wrong(field, "is missing; every announcement needs it")
        return day

    def address(self, field: str) -> str | None:
        text = self.text(field)
        if text and not is_web_address(text):
            raise self.wrong(field, f"{text!r} is not an address like https://example.org/news")
        return text

    def topics(self) -> tuple[str, ...]:
        value = self.fields.get("topics") or []
        topics = [str(topic) for topic in (value if isinstance(value, list) else str(value).split(","))]
        cleaned = tuple(dict.fromkeys(topic.strip() for topic in topics))
        if bad := [topic for topic in cleaned if not is_word(topic)]:
            raise self.wrong("topics", f"{bad[0]!r} is not a word of a-z, 0-9 and hyphens")
        return cleaned

    def type(self) -> AnnouncementType:
        text = self.text("type") or AnnouncementType.NEWS
        if text not in list(AnnouncementType):
            raise self.wrong("type", f"{text!r} is none of {', '.join(AnnouncementType)}")
        return AnnouncementType(text)

    def language(self, languages: Sequence[str]) -> str:
        text = self.text("language") or languages[0]
        if text not in languages:
            raise self.wrong("language", f"{text!r} is not one of this list's: {', '.join(languages)}")
        return text

    def key(self, title: str, day: dt.date) -> str:
        other, own = self.text("translation-of"), self.text("key")
        if other and own and other != own:
            raise self.wrong("key", f"{own!r} is not {other!r}, which this file translates; leave the key out")
        key = (other or own or default_key(title, day)).strip("-")
        if not is_word(key):
            field = "translation-of" if "translation-of" in self.fields else "key"
            raise self.wrong(field, f"{key!r} is not a name of a-z, 0-9 and hyphens")
        return key

    def picture(self) -> tuple[str | None, str | None]:
        image, alt = self.address("image"), self.text("image-alt")
        if image and not image.startswith("https://"):
            raise self.wrong("image", f"{image!r} does not begin with https://; mail shows no other picture")
        if image and not alt:
            raise self.wrong("image", "has no image-alt; say what it shows for those who can't see it")
        return image, alt

    def check_links(self) -> None:
        plain = set(markdown.pictures(self.body))
        for url, line in markdown.located(self.body):
            where = f"{self.name}:{self.body_line + line}"
            if not is_link(url):
                self.faults.append(f"{where}: the text links to {url!r}; links begin with https://")
            elif url in plain and not url.startswith("https://"):
                self.faults.append(f"{where}: the picture {url!r} does not begin with https://; mail shows no other")

    def announcement(self, languages: Sequence[str]) -> AnnouncementFile:
        title, day = self.tried(self.required, "title"), self.tried(self.required_day, "date")
        image, alt = self.tried(self.picture) or (None, None)
        key = self.tried(self.key, title or "", day or dt.date.min)
        language = self.tried(self.language, languages)
        kind = self.tried(self.type)
        deadline, url = self.tried(self.day, "deadline"), self.tried(self.address, "url")
        topics = self.tried(self.topics)
        author, summary = self.tried(self.text, "author"), self.tried(self.text, "summary")
        self.check_links()
        if self.faults or not (title and day and key and language and kind):
            raise BadAnnouncement("\n".join(self.faults))
        return AnnouncementFile(
            key=key,
            is_translation="translation-of" in self.fields,
            language=language,
            title=title,
            date=day,
            type=kind,
            deadline=deadline,
            topics=topics or (),
            author=author,
            summary=summary or default_summary(title, self.body),
            body=self.body,
            url=url,
            image=image,
            image_alt=alt,
            name=self.name,
        )


def default_summary(title: str, body: str) -> str:
    return markdown.first_paragraph(body) or title


def default_key(title: str, day: dt.date) -> str:
    return f"{day.isoformat()}-{slug(title)}"[:100].strip("-")


def written(file: AnnouncementFile) -> str:
    """The text of a file that says just this. What it would say by default is left out."""
    given: dict[str, object] = {
        "title": file.title,
        "date": file.date,
        "translation-of" if file.is_translation else "key": file.key,
        "language": file.language,
        "type": file.type if file.type is not AnnouncementType.NEWS else None,
        "deadline": file.deadline,
        "topics": list(file.topics),
        "author": file.author,
        "url": file.url,
        "image": file.image,
        "image-alt": file.image_alt or ("" if file.image else None),
        "summary": file.summary if file.summary != default_summary(file.title, file.body) else None,
    }
    head = "".join(field_line(name, value) for name, value in given.items() if value not in (None, []))
    return f"---\n{head}---\n\n{file.body}\n"


def field_line(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"{name}: [{', '.join(value)}]\n"
    if isinstance(value, dt.date | AnnouncementType) or not value:
        return f"{name}: {value}".rstrip() + "\n"
    return yaml.dump({name: value}, Dumper=PlainDumper, allow_unicode=True, width=110)


class PlainDumper(yaml.SafeDumper):
    """Quotes a text only where it would be read as something else: `title: 2001` is a text to us anyway."""


PlainDumper.yaml_implicit_resolvers = {}


def slug(text: str) -> str:
    """A key made of a title: ASCII letters and digits; a title without any gives its first characters' numbers."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words or "-".join(f"{ord(character):x}" for character in text if character.isalnum())[:60] or "item"


def is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        written = not re.search(r"\s", text) and not UNPRINTED.search(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and written
    except ValueError:
        return False


def is_link(text: str) -> bool:
    return is_web_address(text) or text.startswith("mailto:")
