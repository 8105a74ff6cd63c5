"""E-mail addresses, parsed once at the edge. Inside, an Address is known good and in one normal form."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType

from mailer.errors import BadAddress

LONGEST_LOCAL = 64  # octets, RFC 5321 4.5.3.1.1
LONGEST = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets less its angle brackets
PLAIN = re.compile(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*", re.ASCII | re.IGNORECASE)  # before the @; good in any domain
ROBOTS = frozenset({"abuse", "donotreply", "mailer-daemon", "no-reply", "noreply", "postmaster", "spam"})


@dataclass(frozen=True)
class Address:
    """`email` is what we send to: the local part as given, the domain as A-labels (IDNA 2008).

    `key` is what makes an address the same as another one: case does not, dots and plus signs do.
    """

    email: str
    key: str

    def __str__(self) -> str:
        return self.email

    @property
    def domain(self) -> str:
        return self.key.rpartition("@")[2]

    @property
    def is_international(self) -> bool:
        """Whether only a mail server that offers SMTPUTF8 can take mail for it (RFC 6531)."""
        return not self.email.isascii()


@cache
def load_validator() -> ModuleType:
    """It is slow to load, and most commands parse no address."""
    import email_validator

    return email_validator


def is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf")


def parse(given: str, *, international: bool = False) -> Address:
    """The address in `given`. Raises BadAddress with a reason a person can act on.

    `international`: let there be more than ASCII before the @ (RFC 6531), which not every mail server can reach.
    """
    text = unicodedata.normalize("NFC", given.strip())
    if not (text.isascii() and text.isprintable()) and any(map(is_invisible, text)):
        raise BadAddress("it holds an invisible character")
    if len(text) > LONGEST:
        raise BadAddress(f"it is longer than {LONGEST} characters")
    local, domain = parts(text, international=international)
    if local.lower().partition("+")[0] in ROBOTS:
        raise BadAddress(f"{local}@ is read by no single person")
    email = f"{local}@{domain}"
    if len(local.encode()) > LONGEST_LOCAL or len(email.encode()) > LONGEST:
        raise BadAddress(f"it is longer than {LONGEST} octets, or {LONGEST_LOCAL} of them before the @")
    return Address(email, f"{unicodedata.normalize('NFC', local.casefold())}@{domain}")


def parts(text: str, *, international: bool) -> tuple[str, str]:
    """What is before the @, and the domain as A-labels. Of a plain address only the domain has to be looked at: of a
    million people, most share a few. Raises BadAddress."""
    local, _, domain = text.rpartition("@")
    if PLAIN.fullmatch(local):
        return local, a_labels(domain)
    return validate(text, international=international)


@lru_cache(10_000)
def a_labels(domain: str) -> str:
    return validate(f"a@{domain}", international=False)[1]


def validate(text: str, *, international: bool) -> tuple[str, str]:
    validator = load_validator()
    try:
        found = validator.validate_email(text, check_deliverability=False, allow_smtputf8=international, strict=True)
    except validator.EmailNotValidError as error:
        raise BadAddress(str(error).rstrip(".")) from None
    return found.local_part, found.ascii_domain.lower()
