"""Checks on the real bytes of a mail, each under the name of its requirement. Pure: bytes in, faults out."""

from dataclasses import dataclass

from mailer.letters.lint.mail import Kind, Mail
from mailer.letters.lint.table import CHECKS

__all__ = ("CHECKS", "UNSAFE", "Fault", "Kind", "Mail", "check")

# Faults that would break the conversation with the mail server, or smuggle in something that nobody has read.
UNSAFE = frozenset({"D-1", "D-2", "D-3", "D-14", "D-37"})


@dataclass(frozen=True)
class Fault:
    rule: str
    text: str
    remedy: str
    is_advice: bool = False  # worth a word, and no reason not to send

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def check(raw: bytes, kind: Kind | None = None) -> list[Fault]:
    """Every fault of one mail, as it would go out. What is not told to be a digest is one if it has a List-Id."""
    return inspect(Mail(raw, kind))


def inspect(mail: Mail) -> list[Fault]:
    return [
        Fault(check.rule, on_one_line(text), check.remedy, check.is_advice)
        for check in CHECKS
        for inspection in check.inspections
        for text in inspection(mail)
    ]


def on_one_line(text: str) -> str:
    """Names and addresses out of a mail can hold anything."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
