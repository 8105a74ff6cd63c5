"""Any letter in any language, without anybody who causes it: for tests and pictures of letters.

The files beside this one are letters as they were last looked at; `python -m tests.letters` writes them anew.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import time_machine

from mailer.config import Config
from mailer.letters.edition import Template
from mailer.letters.slots import Recipient
from mailer.links import SAMPLE_UID, links
from mailer.states import LetterKind
from mailer.subscriptions.letters import made

from ..announcements import TODAY, announcements
from ..installation import Installation
from ..servers.smtp import Mail
from ..tour import OPERATOR

__all__ = ["FOLDER", "KINDS", "OPERATOR", "digest", "letter", "looked_at"]
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
READER = "reader@example.org"
FOLDER = Path(__file__).parent
KINDS = tuple(kind for kind in LetterKind if kind is not LetterKind.DIGEST)


def letter(here: Installation, name: str, code: str) -> Mail:
    """`digest-14` is a digest of 14 announcements; the others have the names of their templates."""
    kind, _, count = name.partition("-")
    if kind == LetterKind.DIGEST:
        return digest(here, int(count or 5), [code])[code]
    with here.app.app_context():
        _subject, content, sha256 = made(LetterKind(name), code)
        person = Recipient(READER, SAMPLE_UID, 1, NOON, code, sha256)
        return Mail("", (READER,), Template(content).splice(person, links()))


def digest(here: Installation, count: int, codes: Sequence[str] = Config.languages) -> dict[str, Mail]:
    """A digest of so many announcements in each language, as `digest preview` writes it."""
    with time_machine.travel(NOON):
        files = [here.write(f"{number}.md", text) for number, text in enumerate(announcements(count))]
        number = here.json("digest", "compose", *files)["digest"]
        for code in codes:
            here.run("digest", "preview", number, "--language", code, "--eml", f"{code}.eml")
    return {code: Mail("", (READER,), (here.folder / f"{code}.eml").read_bytes()) for code in codes}


def looked_at(here: Installation) -> dict[str, str]:
    """The files: every letter's text in two languages that differ most, and the HTML of a digest."""
    here.configure(**OPERATOR, BASE_URL="https://lists.example.org")
    files = {}
    for code in ("en", "ar"):
        mails = {"digest": digest(here, 5, [code])[code], **{str(kind): letter(here, kind, code) for kind in KINDS}}
        for name, mail in mails.items():
            text = mail.part("plain").replace("\r\n", "\n")
            files[f"{name}-{code}.txt"] = f"Subject: {mail.subject}\n\n{text}"
        files[f"digest-{code}.html"] = mails["digest"].part("html").replace("\r\n", "\n")
    return files
