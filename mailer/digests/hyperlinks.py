"""What letters link to: whether it can be an address at all, and whether anybody answers there."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from mailer.errors import BadInput

AT_ONCE = 4
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
INSIDE = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test", ".invalid")


@dataclass(frozen=True)
class Answer:
    """What became of asking for an address. `status`: None if nothing answered, and `words` says why."""

    url: str
    status: int | None
    words: str = ""
    place: str = ""  # where redirects led to

    @property
    def is_dead(self) -> bool:
        return self.status in GONE

    @property
    def is_doubtful(self) -> bool:
        return not self.is_dead and (self.status is None or self.status >= HTTPStatus.BAD_REQUEST)

    @property
    def has_moved(self) -> bool:
        return not (self.is_dead or self.is_doubtful) and self.place.rstrip("/") != self.url.partition("#")[0].rstrip(
            "/"
        )


def fault_of(url: str) -> str | None:
    """Why nobody could follow an address, in words; None if nothing is wrong with how it is written."""
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "is not an address"
    if scheme == "mailto":
        return None if re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", parts.path) else "names no mailbox"
    if scheme not in ("https", "http"):
        return "does not begin with https://"
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)+\.?|\[?[0-9a-f:.]+\]?|localhost", host) or ".." in host:
        return "names no host"
    return "holds a blank" if re.search(r"\s", url) else None


def is_inside(url: str) -> bool:
    """Whether it leads to a machine or a network that readers elsewhere don't have."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(INSIDE)


def ask(url: str) -> Answer:
    """One address, its redirects followed, its page unread. Never reaches into our own network."""
    from mailer.digests.fetching import Fetcher, explained  # which no sending needs, and takes its time to load

    try:
        with explained(url), Fetcher().answer(url, ("*/*",)) as (place, answer):
            return Answer(url, answer.status, answer.reason, place)
    except BadInput as error:
        return Answer(url, None, str(error).removeprefix(f"{url}: "))


def ask_all(urls: Iterable[str], ask: Callable[[str], Answer] = ask) -> Iterator[Answer]:
    """In their order, a few at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(ask, urls)
