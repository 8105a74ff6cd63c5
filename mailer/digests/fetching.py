"""What others have on the web, fetched so that no address can reach into this machine or its network.

Only https, only public addresses: a name is looked up once, and the connection goes to what was looked up, so that a
second answer of the DNS changes nothing. A redirect begins anew. No cookies, no passwords, no proxy. All of it, with
every redirect, has ten seconds, however slowly the other side talks.
"""

import http.client
import ipaddress
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urljoin, urlsplit

import idna

from mailer import __version__
from mailer.errors import BadInput

if TYPE_CHECKING:
    from dns.resolver import Resolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PAGES = ("text/html", "application/xhtml+xml")
FEEDS = ("application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/xml", "text/xml")
LARGEST = 2_000_000  # bytes, when unpacked
SECONDS = 10.0
MOST_REDIRECTS = 3
CHUNK = 64 * 1024
# RFC 6052: an IPv4 address behind a translator. What stands in its last four bytes counts.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
UNICAST = ipaddress.IPv6Network("2000::/3")
EXAMPLES = ipaddress.IPv6Network("3fff::/20")  # RFC 9637, unknown to Python 3.11


@dataclass(frozen=True)
class Page:
    url: str  # after redirects
    content_type: str  # as the server wrote it, with the charset
    body: bytes


def fetch(url: str, *, accept: Sequence[str] = PAGES + FEEDS, limit: int = LARGEST) -> Page:
    """A page of one of these types. Raises BadInput that names the address and what was wrong with it."""
    return Fetcher().fetch(url, accept=accept, limit=limit)


def answers(url: str) -> int | str:
    """The status that a link leads to, or in words why there is none."""
    return Fetcher().answers(url)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet would reach the same machine under it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or (ipaddress.IPv4Address(address.packed[12:]) if address in TRANSLATED else None)
    if inner:
        return is_public(inner)
    return address.is_global and address in UNICAST and address not in EXAMPLES and not address.sixtofour


def look_up(host: str, seconds: float, resolver: "Resolver | None" = None) -> list[Address]:
    """All addresses of a name, by the name servers of this machine unless told. Raises BadInput."""
    import dns.exception
    import dns.resolver

    try:
        found = (resolver or dns.resolver.Resolver()).resolve_name(host, lifetime=seconds, search=False)
    except dns.exception.DNSException:
        raise BadInput(f"there is no {host!r}, or no name server that knows it") from None
    return [ipaddress.ip_address(each) for each in found.addresses()]


class Fetcher:
    """`resolve` and `is_allowed` say where a name leads and whether one may go there; tests have their own."""

    def __init__(
        self,
        *,
        resolve: Callable[[str, float], Sequence[Address]] = look_up,
        is_allowed: Callable[[Address], bool] = is_public,
        port: int = 443,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.resolve, self.is_allowed, self.port, self.seconds = resolve, is_allowed, port, seconds
        self.trust = trust or ssl.create_default_context()
        self.trust.sslsocket_class = HurriedSocket

    def fetch(self, url: str, *, accept: Sequence[str] = PAGES + FEEDS, limit: int = LARGEST) -> Page:
        with explained(url), self.answer(url, accept) as (place, answer):
            if answer.status != HTTPStatus.OK:
                raise BadInput(f"the server answers {answer.status} {answer.reason}".rstrip())
            given = media_type(answer.headers)
            if given not in accept:
                raise BadInput(f"it is {given}, neither a page nor a feed")
            return Page(place, answer.headers.get("Content-Type", ""), unpacked(answer, limit))

    def answers(self, url: str) -> int | str:
        try:
            with explained(url), self.answer(url, ("*/*",)) as (_, answer):
                return answer.status
        except BadInput as error:
            return str(error).removeprefix(f"{url}: ")

    @contextmanager
    def answer(self, url: str, accept: Sequence[str]) -> Iterator[tuple[str, http.client.HTTPResponse]]:
        """What the last of the redirects leads to, its body unread."""
        ends = time.monotonic() + self.seconds
        for _ in range(MOST_REDIRECTS + 1):
            with closing(self.connect(url, ends)) as connection:
                connection.request("GET", target(url), headers=headers(accept))
                with connection.getresponse() as answer:
                    further = answer.headers.get("Location") if answer.status in REDIRECTS else None
                    if further is None:
                        yield url, answer
                        return
            url = urljoin(url, further.strip())
        raise BadInput(f"it redirects more than {MOST_REDIRECTS} times")

    def connect(self, url: str, ends: float) -> "Connection":
        """To the first of the name's addresses that takes it; to none if one of them is not public."""
        host = self.host(url)
        addresses = literal(host) or self.resolve(host, left(ends))
        if not addresses:
            raise BadInput(f"{host!r} has no address")
        for address in addresses:
            if not self.is_allowed(address):
                raise BadInput(f"{host!r} leads to {address}, which is not a public address")
        *others, last = addresses
        for address in others:
            with suppress(OSError):
                return self.opened(host, address, ends)
        return self.opened(host, last, ends)

    def opened(self, host: str, address: Address, ends: float) -> "Connection":
        connection = Connection(host, self.port, context=self.trust, address=address, ends=ends)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def host(self, url: str) -> str:
        """The name in an address, in ASCII. Raises BadInput for an address that is not for us."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise BadInput(f"only addresses that begin with https:// are fetched, not {url!r}")
        if parts.username is not None or parts.password is not None:
            raise BadInput("an address with a name or a password in it is not fetched")
        if (parts.port or self.port) != self.port:
            raise BadInput(f"only port {self.port} is fetched from, not {parts.port}")
        if parts.hostname.isascii():
            return parts.hostname.rstrip(".")
        return idna.encode(parts.hostname, uts46=True).decode().rstrip(".")


REDIRECTS = {301, 302, 303, 307, 308}


class HurriedSocket(ssl.SSLSocket):
    """Reading waits no longer than to the end of the whole fetch, also for a server that sends a byte a second."""

    ends: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left(self.ends))
        return super().recv_into(*args, **kwargs)


class Connection(http.client.HTTPSConnection):
    """To one address that was looked at, with the name in TLS and in the certificate."""

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext, address: Address, ends: float) -> None:
        super().__init__(host, port, context=context)
        self.trust, self.address, self.ends = context, address, ends

    def connect(self) -> None:
        raw = socket.create_connection((str(self.address), self.port), timeout=left(self.ends))
        hurried = self.trust.wrap_socket(raw, server_hostname=self.host, do_handshake_on_connect=False)
        cast(HurriedSocket, hurried).ends = self.ends
        self.sock = hurried
        hurried.settimeout(left(self.ends))
        hurried.do_handshake()


def left(ends: float) -> float:
    """The seconds that are left. Raises TimeoutError when there are none."""
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def literal(host: str) -> list[Address]:
    """The address that a name spells, in any of the ways in which systems read one (127.1, 0x7f.1, 2130706433)."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        return [ipaddress.IPv4Address(socket.inet_aton(host))]
    except OSError:
        return []


def target(url: str) -> str:
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    return path + (f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else "")


def headers(accept: Sequence[str]) -> dict[str, str]:
    return {
        "Accept": ", ".join(accept),
        "Accept-Encoding": "gzip",
        "Connection": "close",
        "User-Agent": f"mailer/{__version__}",
    }


def media_type(given: Message) -> str:
    """Of an answer that says none, what the web takes for a file."""
    return given.get_content_type() if given.get("Content-Type") else "application/octet-stream"


def unpacked(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """The body. Never more of it is unpacked than `limit`, whatever a small file would grow to."""
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise BadInput(f"it is packed as {coding!r}, which was not asked for")
    unpack = zlib.decompressobj(wbits=47) if coding not in ("identity", "") else None  # 47: gzip or zlib
    body = bytearray()
    while chunk := answer.read(CHUNK):
        body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
        if len(body) > limit:
            raise BadInput(f"it is larger than {limit / 1_000_000:g} MB")
    if answer.length or (unpack and not unpack.eof):
        raise BadInput("the connection ended in the middle of it")
    return bytes(body)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Whatever goes wrong in a fetch, in one line."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{url}: {error}") from None
    except TimeoutError:
        raise BadInput(f"{url}: it takes too long") from None
    except ssl.SSLCertVerificationError as error:
        raise BadInput(f"{url}: its certificate is not good: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise BadInput(f"{url}: no safe connection ({error.reason or 'TLS failed'})") from None
    except OSError as error:
        raise BadInput(f"{url}: no connection ({error.strerror or type(error).__name__})") from None
    except (http.client.HTTPException, zlib.error) as error:
        raise BadInput(f"{url}: what the server says can't be understood ({type(error).__name__})") from None
    except ValueError:  # of urlsplit, idna, http.client: a host or a path that can't be one
        raise BadInput(f"{url!r} is not an address that can be fetched") from None
