"""What preflight looks for, besides the faults of bytes: each check by its name. docs/checks.md shows the table."""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import select

from mailer.config import settings
from mailer.db import db
from mailer.digests import compose, editions, hyperlinks, previews
from mailer.digests.editions import Proof
from mailer.languages import SOURCE, name_in
from mailer.letters.lint.markup import LARGEST_HTML
from mailer.localtime import local
from mailer.models import Digest, Edition
from mailer.states import DigestState

LONGEST_SUBJECT = 60
PREHEADER = range(40, 111)
NEARLY_TOO_LARGE = LARGEST_HTML * 8 // 10
PLACEHOLDER = re.compile(r"(?<!\S)(?:TODO|TBD|FIXME|[Ll]orem ipsum)\b")  # not in an address
SHOWN = 3  # titles in one finding


class Candidate(NamedTuple):
    """A digest that may go out at `at`."""

    digest: Digest
    proofs: Sequence[Proof]
    at: dt.datetime


def links(proof: Proof) -> list[str]:
    """To elsewhere: those to our own pages are made by us."""
    page = proof.mail.page
    found = [*page.addresses, *(tag.attributes.get("src", "") for tag in page.named("img"))]
    return [url for url in found if url and not url.startswith((f"{settings().base_url}/", "data:", "cid:"))]


Said = Iterator[tuple[str | None, str]]  # the language, or None for all; what was found


class Check(NamedTuple):
    name: str
    about: str
    remedy: str
    inspect: Callable[[Candidate], Said]
    is_error: bool = False


def broken_links(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        for tag, words in proof.mail.page.links:
            if "href" not in tag.attributes:
                yield proof.language, f"the link {words[:60]!r} leads nowhere"
        for url in links(proof):
            if fault := hyperlinks.fault_of(url):
                yield proof.language, f"{url[:200]} {fault}"


def links_inside(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        for url in links(proof):
            if not hyperlinks.fault_of(url) and hyperlinks.is_inside(url):
                yield proof.language, f"{url[:200]} leads to a machine that readers elsewhere can't reach"


def silent_images(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        for tag in proof.mail.page.named("img"):
            if tag.attributes.get("alt") == "":
                yield proof.language, f"the image {tag.attributes.get('src', '')[:200]} has an empty text"


def long_subjects(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        if len(proof.subject) > LONGEST_SUBJECT:
            yield proof.language, f"the subject has {len(proof.subject)} characters; inboxes show {LONGEST_SUBJECT}"


def used_subjects(candidate: Candidate) -> Said:
    subjects = [proof.subject for proof in candidate.proofs]
    query = select(Edition.subject, Edition.digest_id).join(Edition.digest).distinct()
    others = (Edition.digest_id != candidate.digest.id, Digest.state != DigestState.CANCELLED)
    rows = db.session.execute(query.where(Edition.subject.in_(subjects), *others))
    used = {row.subject: row.digest_id for row in rows}
    for proof in candidate.proofs:
        if proof.subject in used:
            yield proof.language, f"the subject is that of digest {used[proof.subject]}, too"


def poor_preheaders(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        said = proof.mail.page.preheader
        if not said:
            yield proof.language, "there is nothing for inboxes to show behind the subject"
        elif said == proof.subject:
            yield proof.language, "what inboxes show behind the subject is the subject again"
        elif len(said) not in PREHEADER:
            wanted = f"{PREHEADER.start} to {PREHEADER.stop - 1}"
            yield proof.language, f"what inboxes show behind the subject has {len(said)} characters, not {wanted}"


def nearly_too_large(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        size = len(proof.mail.html.encode())
        if NEARLY_TOO_LARGE < size <= LARGEST_HTML:
            yield proof.language, f"the HTML is {size // 1000} kB; more than {LARGEST_HTML // 1000} is refused"


def passed_deadlines(candidate: Candidate) -> Said:
    day = local(candidate.at).date()
    for item in editions.items(candidate.digest, editions.languages()[0]):
        if item.deadline and item.deadline < day:
            yield None, f"the deadline of {item.title[:80]!r} is past ({item.deadline})"


def missing_translations(candidate: Candidate) -> Said:
    for code in editions.languages():
        found = editions.items(candidate.digest, code)
        lacking = [item for item in found if item.is_fallback]
        name = name_in(code, SOURCE)
        if lacking and len(lacking) == len(found):
            yield code, f"no announcement is in {name}"
        elif lacking:
            titles = ", ".join(repr(item.title[:60]) for item in lacking[:SHOWN])
            more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
            yield code, f"{len(lacking)} of {len(found)} announcements are not in {name}: {titles}{more}"


def sent_before(candidate: Candidate) -> Said:
    for announcement in candidate.digest.announcements:
        earlier = compose.held_before(announcement, candidate.digest)
        if earlier and earlier.state is not DigestState.DRAFT:
            yield None, f"{announcement.translations[0].title[:80]!r} is in digest {earlier.id}, too ({earlier.state})"


def placeholders(candidate: Candidate) -> Said:
    for proof in candidate.proofs:
        if found := PLACEHOLDER.search(proof.mail.plain):
            yield proof.language, f"it says {found[0]}"


def unseen(candidate: Candidate) -> Said:
    if candidate.digest.published_at is None and not previews.seen_in(candidate.digest):
        yield None, previews.told(candidate.digest)


def no_postal_address(_: Candidate) -> Said:
    if not settings().postal_address:
        yield None, "no postal address stands at the foot, which the law of many countries asks for"


def one_sender(_: Candidate) -> Said:
    if settings().account_sender == settings().sender:
        yield None, "digests and confirmation letters have the same sender: complaints about one harm the other"


def trial_links(_: Candidate) -> Said:
    if settings().is_trial:
        yield None, f"all links lead to {settings().base_url}, which is this machine"


CHECKS = (
    Check(
        "link-syntax",
        "Links that can't be followed",
        "Correct the link, and add the file again",
        broken_links,
        is_error=True,
    ),
    Check(
        "image-text",
        "Images without a text for those who don't see them",
        "Say between the image's brackets what it shows",
        silent_images,
        is_error=True,
    ),
    Check("link-inside", "Links to one's own machine or network", "Link to where everybody can go", links_inside),
    Check("subject-length", "Subjects of more than 60 characters", "Give a shorter title: `--title`", long_subjects),
    Check("subject-used", "Subjects that an earlier digest had", "Give another title: `--title`", used_subjects),
    Check(
        "preheader",
        "A line behind the subject that is missing, that repeats it, or has not 40 to 110 characters",
        "Give the first announcement a summary",
        poor_preheaders,
    ),
    Check("size", "HTML that is nearly too large", "Shorten it, or split it in two", nearly_too_large),
    Check(
        "deadline-passed", "Deadlines that are past when it goes out", "Leave it out, or correct it", passed_deadlines
    ),
    Check(
        "translation-missing",
        "Announcements that readers of a language get in another one",
        "Add a file that says `translation-of`, or send it as it is",
        missing_translations,
    ),
    Check(
        "sent-before",
        "Announcements that another digest holds",
        "Leave it out: who had it gets it no second time",
        sent_before,
    ),
    Check("placeholder", "Words like TODO", "Write what was to be written", placeholders),
    Check(
        "unseen",
        "Digests that nobody has looked at as they are now",
        "Look at it: `mailer digest preview`, or `mailer digest test`",
        unseen,
    ),
    Check("D-31", "No postal address", "Set `POSTAL_ADDRESS`", no_postal_address),
    Check("D-6", "One sender for all mail", "Set `MAIL_ACCOUNT_SENDER`", one_sender),
    Check("trial-links", "Links to this machine", "Set `BASE_URL` to the site's public address", trial_links),
)
