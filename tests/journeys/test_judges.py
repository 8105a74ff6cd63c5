"""Letters and pages before those who judge them: a spam filter, a validator."""

from pathlib import Path

import pytest

from mailer.config import Config

from ..conftest import need
from ..installation import Installation
from ..letters import KINDS, OPERATOR, digest, letter
from ..servers.filters import (
    RSPAMD_ADVICE,
    SPAMASSASSIN_ADVICE,
    VALIDATOR_ADVICE,
    find_rspamd,
    find_spamassassin,
    find_validator,
    judge,
    rspamd,
    symbols,
    validate,
)
from ..servers.smtp import Mail
from ..tour import scenes

# It counts Latin letters e among Cyrillic ones, and so speaks against any Russian letter of a list with a Latin name.
AGAINST_RUSSIAN = {"MIXED_ES": 1.0}
# What somebody typed where a browser has no field for dates is shown to them again.
AS_TYPED = "Bad value “soon” for attribute “value” on element “input”"
# They are the same on each database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def letters(here: Installation) -> dict[str, Mail]:
    """By kind and language."""
    here.configure(**OPERATOR, BASE_URL="https://lists.example.org")
    digests = {f"digest-{count}": digest(here, count) for count in (1, 14)}
    found = {f"{name} {code}": mail for name, mails in digests.items() for code, mail in mails.items()}
    return found | {f"{kind} {code}": letter(here, kind, code) for code in Config.languages for kind in KINDS}


def test_no_letter_looks_like_spam(here: Installation, tmp_path: Path) -> None:
    program = find_spamassassin()
    need("spamassassin", program, SPAMASSASSIN_ADVICE)
    assert program
    mails = {name: mail for name, mail in letters(here).items() if name.startswith(("digest", "confirmation"))}
    verdicts = judge(program, [mail.raw for mail in mails.values()], tmp_path)
    for name, mail in mails.items():
        score, rules = verdicts[str(mail.message["Message-ID"])]
        unjust = sum(AGAINST_RUSSIAN[rule] for rule in rules & AGAINST_RUSSIAN.keys() if name.endswith(" ru"))
        assert score - unjust <= 0.5, f"{name}: {score} by {rules}"


def test_no_letter_looks_like_spam_to_another_filter(here: Installation, tmp_path: Path) -> None:
    program = find_rspamd()
    need("rspamd", program, RSPAMD_ADVICE)
    assert program
    mails = letters(here)
    with rspamd(program, tmp_path) as url:
        found = {name: symbols(url, mail.raw) for name, mail in mails.items()}
    for name, rules in found.items():
        rules.pop("DATE_IN_PAST", None)  # the letters are of one day for ever
        assert sum(rules.values()) <= 0.7, f"{name}: {rules}"


def test_letters_and_pages_are_valid_html(here: Installation, tmp_path: Path) -> None:
    """D-189."""
    command = find_validator()
    need("validator", command, VALIDATOR_ADVICE)
    assert command
    pages = {scene.name: scene.answer(here).text for scene in scenes(here)}
    pages |= {name: mail.part("html") for name, mail in letters(here).items()}
    folder = tmp_path / "pages"
    folder.mkdir()
    assert [fault for fault in validate(command, pages, folder) if AS_TYPED not in fault] == []
