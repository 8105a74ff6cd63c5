"""What inboxes show of a digest: too long, too short, said twice. Templates see to it; the check sees that they did."""

from datetime import UTC, datetime

import pytest

from mailer.digests import checks
from mailer.digests.checks import Candidate
from mailer.digests.editions import Proof
from mailer.letters.lint import Kind, Mail
from mailer.models import Digest

PREHEADER = "Delegates of 160 countries met for two days in Geneva."


def candidate(subject: str = "News", preheader: str = "") -> Candidate:
    html = f'<html><body><div style="display: none">{preheader}</div><p>Hello.</p></body></html>'
    mail = Mail(b"Content-Type: text/html\r\n\r\n" + html.encode(), Kind.DIGEST)
    return Candidate(Digest(), [Proof("en", subject, mail, ())], datetime.now(UTC))


@pytest.mark.parametrize(("length", "said"), [(1, 0), (60, 0), (61, 1)])
def test_a_subject_has_as_many_characters_as_inboxes_show(length: int, said: int) -> None:
    """D-185"""
    assert len(list(checks.long_subjects(candidate("x" * length)))) == said


@pytest.mark.parametrize(
    ("preheader", "said"),
    [
        (PREHEADER, None),
        (f"{PREHEADER}{'&#847; ' * 90}", None),
        ("x" * 40, None),
        ("x" * 110, None),
        ("x" * 39, "39 characters"),
        ("x" * 111, "111 characters"),
        ("", "nothing for inboxes"),
        ("&zwnj;&nbsp;" * 50, "nothing for inboxes"),
        ("News", "the subject again"),
    ],
)
def test_a_preheader_says_enough_and_not_what_the_subject_says(preheader: str, said: str | None) -> None:
    """D-185"""
    found = [text for _, text in checks.poor_preheaders(candidate(preheader=preheader))]
    assert len(found) == (1 if said else 0)
    assert said is None or said in found[0]
