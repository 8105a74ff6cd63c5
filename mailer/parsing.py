"""Parsers of single settings: a raw value in, the parsed one out. A ValueError says what the value is or has wrong."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from email.utils import getaddresses
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

SECRET_LENGTH = 32
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # keys, topics, slugs
LONGEST_WORD = 100
LONGEST_TEXT = 1000
LONGEST_NAME = 200
UNPRINTABLE = {"Cc", "Cs", "Co", "Zl", "Zp"}
PERIODS = {"m": 60, "h": 3600, "d": 86400}
LONGEST_PERIOD = 366 * 86400
INTAKE = re.compile(r"(?=[^@]{1,11}@)[a-z0-9]+(?:-[a-z0-9]+)*@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")
BROKER = re.compile(r"amqps?:.*|rediss?:/*[0-9]{0,9}")  # the scheme and the path
MAILBOX = re.compile(r"[^\s@<>(),;:\\\"\[\]]+@[\w.-]+")


def text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("is not a text")
    if any(unicodedata.category(character) in UNPRINTABLE for character in str(value)):
        raise ValueError("holds a line break or another character that can't be shown")
    if len(str(value)) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT} characters")
    return str(value).strip()


def required_text(value: Any) -> str:
    if not text(value):
        raise ValueError("is empty")
    return text(value)


def name(value: Any) -> str:
    if len(required_text(value)) > LONGEST_NAME:
        raise ValueError(f"is longer than {LONGEST_NAME} characters")
    return text(value)


def boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError("is neither true nor false") from None


def whole_number(lowest: int, highest: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        try:
            number = int(text(value))
        except ValueError:
            raise ValueError("is not a whole number") from None
        if not lowest <= number <= highest:
            raise ValueError(f"is not between {lowest} and {highest}")
        return number

    return parse


def seconds(value: Any) -> float:
    try:
        number = float(value if isinstance(value, float) else text(value))
    except (TypeError, ValueError):
        raise ValueError("is not a number of seconds") from None
    if not 0 <= number <= 3600:
        raise ValueError("is not between 0 and 3600 seconds")
    return number


class Limit(str):
    """`20/1h`: at most 20 in an hour. A text, so that it is shown as it was written."""

    most: int
    seconds: int

    def __new__(cls, written: str) -> Self:
        found = re.fullmatch(r"(\d{1,7})/(\d{1,4})([mhd])", written)
        if not found:
            raise ValueError(f"has {written!r}, which is not a limit like 20/1h (m, h or d)")
        made = super().__new__(cls, written)
        made.most, made.seconds = int(found[1]), int(found[2]) * PERIODS[found[3]]
        if not (made.most and 0 < made.seconds <= LONGEST_PERIOD):
            raise ValueError(f"has {written!r}: at least 1, in a period of a minute to a year")
        return made


def limits(value: Any) -> tuple[Limit, ...]:
    """Empty stands for "no limit"."""
    return tuple(Limit(item) for item in several(value)) if value not in ("", []) else ()


class Rate(str):
    """`gmail.com=50`: no more than 50 messages a second to addresses there. A text, so that it is shown as it was
    written."""

    domain: str
    most: int

    def __new__(cls, written: str) -> Self:
        found = re.fullmatch(r"([^\s=@]+\.[^\s=@]+)=(\d{1,7})", written)
        if not (found and int(found[2])):
            raise ValueError(f"has {written!r}, which is not a provider's rate like gmail.com=50")
        made = super().__new__(cls, written)
        made.domain, made.most = found[1].lower(), int(found[2])
        return made


def rates(value: Any) -> tuple[Rate, ...]:
    """Empty stands for "no limit"."""
    found = tuple(Rate(item) for item in several(value)) if value not in ("", []) else ()
    if len({each.domain for each in found}) != len(found):
        raise ValueError("names a provider twice")
    return found


def several(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else text(value).split(",")
    names = tuple(text(item) for item in items)
    if not all(names):
        raise ValueError("has an empty part")
    return names


def languages(value: Any) -> tuple[str, ...]:
    codes = tuple(code.lower() for code in several(value))
    if bad := [code for code in codes if not (code.isascii() and code.isalpha() and len(code) in (2, 3))]:
        raise ValueError(f"has {bad[0]!r}, which is not a language code like en or fr")
    if len(set(codes)) != len(codes):
        raise ValueError("names a language twice")
    return codes


def secret_keys(value: Any) -> tuple[str, ...]:
    keys = several(value)
    if any(len(key) < SECRET_LENGTH for key in keys):
        raise ValueError(f"is shorter than {SECRET_LENGTH} characters (a comma parts a new key from an old one)")
    return keys


def base_url(value: Any) -> str:
    url = required_text(value).rstrip("/")
    parts = urlsplit(url)
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    written = re.fullmatch(r"[!#-;=?-~]+", url)  # ASCII without blanks, quotes and angle brackets
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not written:
        raise ValueError("is not an address like https://lists.example.org")
    return url


def broker_url(value: Any) -> str:
    """RabbitMQ's or Redis'; after a semicolon that of another one, for when the first is down."""
    given = required_text(value)
    if not all(map(is_broker, given.split(";"))):
        raise ValueError(
            "is not a broker like amqp://user:password@host// or redis://:password@host/0 (amqps, rediss with TLS); "
            "in a password, write @ as %40, : as %3A and / as %2F"
        )
    return given


def is_broker(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.port != 0 and bool((parts.hostname or "").encode("idna"))
    except ValueError:  # its text may hold a piece of the password
        return False
    return named and bool(BROKER.fullmatch(f"{parts.scheme}:{parts.path}"))


def is_word(name: str) -> bool:
    """A name that can stand in an address: a-z, 0-9 and hyphens."""
    return len(name) <= LONGEST_WORD and bool(WORD.fullmatch(name))


def slug(value: Any) -> str:
    if not is_word(required_text(value)):
        raise ValueError("may hold only a-z, 0-9 and hyphens")
    return text(value)


def mailbox(value: Any) -> str:
    """`Name <local@domain>` or `local@domain`; empty stands for "not given"."""
    given = text(value)
    addresses = [address for _, address in getaddresses([given])]
    if given and not (len(addresses) == 1 and addresses[0].isascii() and MAILBOX.fullmatch(addresses[0])):
        raise ValueError("is not a sender like Frontier Technologies <news@example.org>")
    return given


def intake_address(value: Any) -> str:
    """`leave@lists.example.org`: of the 64 octets before the @ a token and its plus sign need 53."""
    given = text(value).lower()
    if given and not INTAKE.fullmatch(given):
        raise ValueError("is not an address like leave@lists.example.org, of a-z and 0-9, at most 11 before the @")
    return given


def endpoint(value: Any) -> str:
    """Where to listen: a port, which is one of this machine only, HOST:PORT, or unix:PATH. Empty: not at all."""
    given = text(value)
    if not given or (given.startswith("unix:") and given != "unix:"):
        return given
    given = f"127.0.0.1:{given}" if given.isdecimal() else given
    host, _, port = given.rpartition(":")
    if not (re.fullmatch(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]", host, re.IGNORECASE) and re.fullmatch(r"[0-9]{1,5}", port)):
        raise ValueError("is neither a port nor HOST:PORT nor unix:PATH")
    whole_number(0, 65535)(port)
    return given


def timezone(value: Any) -> str:
    name = required_text(value)
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("is not a time zone like Europe/Zurich") from None
    return name


def resolver(value: Any) -> str:
    """`system`, `off`, or the address of a name server: 192.0.2.53, [2001:db8::53]:5353."""
    given = required_text(value)
    if given in ("system", "off"):
        return given
    try:
        parts = urlsplit(f"//{given}")
        ipaddress.ip_address(parts.hostname or "")
        parts.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError:
        raise ValueError("is neither system nor off nor a name server like 192.0.2.53 or 127.0.0.1:5353") from None
    return given


def choice(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if text(value) not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text(value)

    return parse
