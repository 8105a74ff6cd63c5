"""Makes a letter's parcel: a person's copy of their edition, addressed. No database: editions are fetched before."""

from collections.abc import Iterable
from email.utils import parseaddr
from typing import NamedTuple

from mailer.config import Config
from mailer.delivery import account
from mailer.delivery.claims import Letter
from mailer.delivery.envelope import Parcel
from mailer.letters.edition import Template
from mailer.letters.slots import Recipient
from mailer.links import Links
from mailer.states import LetterKind


class Pattern(NamedTuple):
    """What all copies of an edition share."""

    list_id: int
    language: str
    sha256: str
    sender: str
    template: Template


class Packer:
    def __init__(self, config: Config, links: Links) -> None:
        self.config, self.links = config, links
        self.patterns: dict[int, Pattern] = {}

    def prepare(self, letters: Iterable[Letter]) -> None:
        """Fetch what `pack` will need. In the thread that may use the database."""
        for edition_id in {letter.edition_id for letter in letters}.difference(self.patterns):
            edition = account.edition(edition_id)
            sender = self.config.sender if edition.letter is LetterKind.DIGEST else self.config.account_sender
            self.patterns[edition_id] = Pattern(
                edition.list_id, edition.language, edition.sha256, parseaddr(sender)[1], Template(edition.content)
            )

    def pack(self, letter: Letter) -> Parcel:
        """Raises ValueError for a copy that can't be made."""
        pattern = self.patterns[letter.edition_id]
        person = Recipient(
            letter.email, letter.uid, pattern.list_id, letter.created_at, pattern.language, pattern.sha256
        )
        message = pattern.template.splice(person, self.links)
        return Parcel(letter, pattern.sender, letter.email, message, f"{letter.uid}.{letter.edition_id}")
