"""E-mail addresses, parsed once at the edge. Inside, an Address is known good and in one normal form."""

import unicodedata
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from mailer.errors import BadAddress

LONGEST = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets less its angle brackets
ROBOTS = frozenset({"abuse", "postmaster", "mailer-daemon", "noreply", "no-reply", "spam"})


@dataclass(frozen=True)
class Address:
    """`email` is what we send to: the local part as given, the domain as A-labels (IDNA 2008).

    `key` is what makes an address the same as another one: case does not, dots and plus signs do.
    """

    email: str
    key: str

    def __str__(self) -> str:
        return self.email


@cache
def load_validator() -> ModuleType:
    """It is slow to load, and most commands parse no address."""
    import email_validator

    return email_validator


def is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf")


def parse(given: str) -> Address:
    """The address in `given`. Raises BadAddress with a reason a person can act on."""
    text = unicodedata.normalize("NFC", given.strip())
    if not (text.isascii() and text.isprintable()) and any(map(is_invisible, text)):
        raise BadAddress("it holds an invisible character")
    if len(text) > LONGEST:
        raise BadAddress(f"it is longer than {LONGEST} characters")
    validator = load_validator()
    try:
        found = validator.validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except validator.EmailNotValidError as error:
        raise BadAddress(str(error).rstrip(".")) from None
    if found.local_part.lower() in ROBOTS:
        raise BadAddress(f"{found.local_part}@ is read by no single person")
    domain = found.ascii_domain.lower()
    return Address(f"{found.local_part}@{domain}", f"{found.local_part.casefold()}@{domain}")
