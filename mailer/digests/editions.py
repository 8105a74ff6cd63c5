"""From a digest to its editions: one letter per language and selection of announcements, rendered once for everybody
who gets the same words."""

import datetime as dt
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from markupsafe import Markup
from sqlalchemy import select

from mailer.config import settings
from mailer.db import db, now
from mailer.digests import headlines, snapshot
from mailer.errors import BadInput
from mailer.languages import Language, language, name_in, offered, short_day_in
from mailer.letters import lint, markdown
from mailer.letters.edition import Template
from mailer.letters.lint import Fault, Kind, Mail
from mailer.letters.message import build, digest_headers
from mailer.letters.render import Words, render
from mailer.letters.slots import Recipient, slot
from mailer.links import SAMPLE_UID, links
from mailer.localtime import local, today
from mailer.models import Announcement, AnnouncementTranslation, Digest, Edition, EditionItem, Introduction
from mailer.states import AnnouncementType, LetterKind

IN_FULL = 12  # announcements in a letter; of the others it has the titles
WITH_CONTENTS = 4  # announcements from which on it has a table of contents
NEAR = dt.timedelta(days=7)


@dataclass(frozen=True)
class Item:
    """An announcement as a page or a letter in one language shows it."""

    anchor: str  # its place on the digest's page in the archive
    title: str
    type: AnnouncementType
    date: dt.date
    deadline: dt.date | None
    deadline_is: str  # "near", "past" or neither
    author: str | None
    lead: str | None  # a summary that says more than the text's first paragraph does
    source: str
    url: str | None
    image: str | None
    image_alt: str | None
    language: Language
    is_fallback: bool  # not in the reader's language, for want of a translation
    language_name: str  # as the reader calls it

    @cached_property
    def html(self) -> Markup:
        return Markup(markdown.to_html(self.source))  # noqa: S704 - sanitised

    @cached_property
    def text(self) -> str:
        return markdown.to_text(self.source)

    @property
    def marks(self) -> Markup:
        """Nothing for one in the letter's own language."""
        return marks_of(self.language) if self.is_fallback else Markup()

    @property
    def summary(self) -> str:
        return self.lead or markdown.first_paragraph(self.source)

    @property
    def host(self) -> str:
        """Where its link leads to, as readers know it."""
        return (urlsplit(self.url or "").hostname or "").removeprefix("www.")


@dataclass(frozen=True)
class Rendered:
    """One edition's bytes, with what they were made of."""

    language: str
    words: Words
    content: bytes
    proof: "Proof | None" = None
    made_at: dt.datetime = field(default_factory=now)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Proof:
    """A finished copy of one edition, for nobody in particular, and what is wrong with it."""

    language: str
    subject: str
    mail: Mail
    faults: Sequence[Fault]


def languages() -> tuple[str, ...]:
    """Those that digests are written in; the first is the fallback."""
    return offered(settings().languages)


def items(digest: Digest, code: str, selection: Collection[int] | None = None) -> list[Item]:
    return [item_in(announcement, code) for announcement in snapshot.announcements(digest, selection)]


def item_in(announcement: Announcement, code: str) -> Item:
    text = best(announcement.translations, code)
    paragraph = markdown.first_paragraph(text.body)
    return Item(
        anchor=f"item-{announcement.key}",
        title=text.title,
        type=announcement.type,
        date=announcement.date,
        deadline=announcement.deadline,
        deadline_is=urgency(announcement.deadline, today()),
        author=author(announcement, text),
        lead=text.summary if text.summary not in (paragraph, text.title) else None,
        source=text.body,
        url=text.url,
        image=text.image if text.image_alt else None,  # an imported one may wait for its words
        image_alt=text.image_alt,
        language=language(text.language),
        is_fallback=text.language != code,
        language_name=name_in(text.language, code),
    )


def author(announcement: Announcement, text: AnnouncementTranslation) -> str | None:
    """As the text itself names them, in its own letters, else as the original does."""
    return text.author or announcement.translations[0].author


def marks_of(written: Language) -> Markup:
    """What says in HTML that something is written in this language."""
    return Markup(' lang="{}" dir="{}"').format(written.code, written.direction)


def urgency(deadline: dt.date | None, today: dt.date) -> str:
    if deadline is None or deadline > today + NEAR:
        return ""
    return "past" if deadline < today else "near"


class InALanguage(Protocol):
    @property
    def language(self) -> str: ...


Text = TypeVar("Text", bound=InALanguage)


def best(texts: Sequence[Text], code: str) -> Text:
    """The one in the reader's language, else in the list's in their order, else whatever there is."""
    by_language = {text.language: text for text in texts}
    return next((by_language[each] for each in (code, *settings().languages) if each in by_language), texts[0])


def introduction(digest: Digest, code: str) -> Introduction | None:
    found = snapshot.introductions(digest)
    return best(found, code) if found else None


def intro_html(digest: Digest, code: str) -> Markup:
    """Marked with its language, where that is not the reader's."""
    found = introduction(digest, code)
    if found is None:
        return Markup()
    html = Markup(markdown.to_html(found.text, top=2))  # noqa: S704 - sanitised
    if found.language == code:
        return html
    return Markup("<div{}>{}</div>").format(marks_of(language(found.language)), html)


def intro_text(digest: Digest, code: str) -> str:
    found = introduction(digest, code)
    return markdown.to_text(found.text) if found else ""


def title(digest: Digest, code: str) -> str | None:
    """In the reader's language, else the digest's; None: it is called by its first announcement."""
    own = [each.title for each in snapshot.introductions(digest) if each.language == code]
    return next(filter(None, own), digest.title)


def goes_out(digest: Digest) -> dt.datetime:
    """The moment whose day its letters name, and its page in the archive: when it went out, else when it will."""
    return digest.published_at or max(digest.scheduled_at or now(), now())


def preheader(items: Sequence[Item], otherwise: str) -> str:
    """What the first announcement says beyond its title, which is the subject; the others' titles if that is little."""
    first, *others = items
    summary = first.summary if first.summary != first.title else ""
    return headlines.preheader([summary, *(item.title for item in others), otherwise])


def words(digest: Digest, code: str, *, test: bool = False, selection: Collection[int] | None = None) -> Words:
    """Subject, text and HTML of one edition."""
    date, chosen = goes_out(digest), items(digest, code, selection)
    return render(
        LetterKind.DIGEST.value,
        code,
        digest=digest,
        title=title(digest, code),
        items=chosen,
        in_full=IN_FULL,
        contents=chosen[:IN_FULL] if len(chosen) >= WITH_CONTENTS else (),
        subject=headlines.subject,
        preheader=preheader,
        intro_text=intro_text(digest, code),
        intro_html=intro_html(digest, code),
        marks_of=marks_of,
        test=test,
        date=date,
        short_date=short_day_in(local(date), code),
        unsubscribe_url=links().page(f"/unsubscribe/{slot('unsubscribe')}", lang=code),
        archive_url=links().page(f"/archive/{digest.slug}", lang=code),
        manage_url=links().page("/manage", lang=code),
        home_url=links().page("/", lang=code),
    )


def render_edition(
    digest: Digest, code: str, *, test: bool = False, selection: Collection[int] | None = None
) -> Rendered:
    """The edition that holds the announcements with these ids (all that the digest is about if none are given).

    With its faults. Raises BadInput for those that harm more than the letter: what is unsafe never goes out.
    """
    made = words(digest, code, test=test, selection=selection)
    content = build(made, digest_headers(made, code, digest.slug, settings(), links()))
    rendered = Rendered(code, made, content)
    proof = proof_of(digest, rendered)
    if unsafe := [fault for fault in proof.faults if fault.rule in lint.UNSAFE]:
        raise BadInput(f"digest {digest.id} in {language(code).name} can't be sent: {unsafe[0]}")
    return replace(rendered, proof=proof)


def render_all(
    digest: Digest, codes: Collection[str] | None = None, selection: Collection[int] | None = None
) -> dict[str, Rendered]:
    """In these languages (every one if none are given)."""
    wanted = languages() if codes is None else codes
    return {code: render_edition(digest, code, selection=selection) for code in wanted}


def proof_of(digest: Digest, rendered: Rendered) -> Proof:
    if rendered.proof:
        return rendered.proof
    mail = Mail(copy_for(rendered, sample(digest, rendered)), Kind.DIGEST)
    return Proof(rendered.language, rendered.words.subject, mail, lint.inspect(mail))


def current(digest: Digest, code: str, selection: Collection[int] | None = None) -> Rendered:
    """What readers get: as it is stored, else as it would be."""
    wanted = set(selection or (item.announcement_id for item in digest.items if not item.catches_up))
    query = select(Edition).filter_by(digest_id=digest.id, language=code, revision=digest.revision)
    for stored in db.session.scalars(query):
        if {item.announcement_id for item in stored.items} == wanted:
            return frozen(stored)
    return render_edition(digest, code, selection=selection)


def frozen(edition: Edition) -> Rendered:
    """One that is stored, as far as it takes to make copies of it."""
    return Rendered(edition.language, Words(edition.subject, "", ""), edition.content)


def copy_for(rendered: Rendered, person: Recipient) -> bytes:
    """One person's whole mail."""
    return Template(rendered.content).splice(person, links())


def sample(digest: Digest, rendered: Rendered, email: str = "reader@example.org") -> Recipient:
    """Nobody on the list: for previews and tests. The leave link of such a copy is real and changes nothing."""
    return Recipient(email, SAMPLE_UID, digest.list_id, now(), rendered.language, rendered.sha256)


def stored(digest: Digest, rendered: Rendered, selection: int, held: Collection[int]) -> Edition:
    """`held`: the announcements that the selection stands for."""
    return Edition(
        list_id=digest.list_id,
        letter=LetterKind.DIGEST,
        language=rendered.language,
        digest_id=digest.id,
        selection=selection,
        revision=digest.revision,
        items=[EditionItem(announcement_id=each) for each in held],
        subject=rendered.words.subject,
        content=rendered.content,
        sha256=rendered.sha256,
        created_at=rendered.made_at,
    )
