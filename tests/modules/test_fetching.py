"""D-166: what is fetched from the web can't be turned against this machine or its network, nor keep it busy."""

import gzip
import ipaddress
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import count

import dns.message
import pytest
from dns.resolver import Resolver

from mailer.digests.fetching import Address, Fetcher, Page, is_public, literal, look_up
from mailer.errors import BadInput

from ..servers.dns import NameServer
from ..servers.web import Answer, Handler, WebServer
from ..smtp.certificates import Authority

HERE = ipaddress.ip_address("127.0.0.1")
HOST = "news.example.org"
PAGE = Answer(b"<p>news</p>")
BOMB = zlib.compressobj(9, wbits=31)
PACKED = BOMB.compress(bytes(30_000_000)) + BOMB.flush()


def slow_loris(handler: Handler) -> None:
    """A byte of a header that never ends, again and again."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(1200):
        time.sleep(0.05)
        handler.wfile.write(b"a")


def slow_body(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    for _ in range(1200):
        time.sleep(0.05)
        handler.wfile.write(b"a")


def endless(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    for _ in count():
        handler.wfile.write(b"a" * 65536)


def redirect(to: str) -> Answer:
    return Answer(status=302, headers={"Location": to})


def packed(body: bytes, coding: str = "gzip") -> Answer:
    return Answer(body, headers={"Content-Encoding": coding})


SITE = {
    "/": PAGE,
    "/packed": packed(gzip.compress(PAGE.body)),
    "/bomb": packed(PACKED),
    "/torn": packed(gzip.compress(PAGE.body)[:-9]),
    "/odd": packed(b"x", "br"),
    "/not-packed": packed(b"no gzip at all"),
    "/large": Answer(b"a" * 2_000_001),
    "/short": Answer(b"abc", headers={"Content-Length": "9"}),
    "/picture": Answer(b"GIF89a", "image/gif"),
    "/untyped": Answer(b"<p>", ""),
    "/moved": redirect("/"),
    "/once": redirect("/twice"),
    "/twice": redirect("/thrice"),
    "/thrice": redirect("/moved"),
    "/round": redirect("/round"),
    "/inside": redirect("https://localhost/admin"),
    "/inside-by-number": redirect("https://127.0.0.2/"),
    "/inside-by-six": redirect("https://[::1]/"),
    "/metadata": redirect("https://169.254.169.254/latest/meta-data/"),
    "/plain": redirect(f"http://{HOST}/"),
    "/file": redirect("file:///etc/passwd"),
    "/cookie": Answer(b"<p>", headers={"Set-Cookie": "a=b"}, status=200),
    "/gone": Answer(status=410),
    "/slow-loris": slow_loris,
    "/slow-body": slow_body,
    "/endless": endless,
    "/a%20b%C3%A9?q=%C3%A9": PAGE,
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[WebServer]:
    with WebServer(authority.server_context(HOST), SITE) as running:
        yield running


def fetcher(server: WebServer, authority: Authority, *, seconds: float = 5.0) -> Fetcher:
    """One that finds the test's server under a public name, and may go to it besides what is public."""
    return Fetcher(
        resolve=lambda host, _: [HERE if host == HOST else ipaddress.ip_address("127.0.0.2")],
        is_allowed=lambda address: address == HERE or is_public(address),
        port=server.port,
        trust=ssl.create_default_context(cafile=str(authority.file)),
        seconds=seconds,
    )


def said(fetch: Fetcher, url: str) -> str:
    with pytest.raises(BadInput) as caught:
        fetch.fetch(url)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_page_comes_over_a_connection_that_is_sure_of_the_server(server: WebServer, authority: Authority) -> None:
    url = f"https://{HOST}/"
    assert fetcher(server, authority).fetch(url) == Page(url, "text/html; charset=utf-8", PAGE.body)
    path, headers = server.asked[-1]
    assert (path, headers["Host"]) == ("/", f"{HOST}:{server.port}")
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


def test_another_address_is_tried_where_nobody_listens(server: WebServer, authority: Authority) -> None:
    one = fetcher(server, authority)
    nobody = ipaddress.ip_address("127.0.0.9")
    one.resolve, one.is_allowed = lambda *_: [nobody, HERE], {nobody, HERE}.__contains__
    assert one.fetch(f"https://{HOST}/").body == PAGE.body


@pytest.mark.parametrize("path", ["/packed", "/moved", "/thrice", "/twice", "/a bé?q=é"])
def test_packed_moved_and_oddly_written_pages_come_too(server: WebServer, authority: Authority, path: str) -> None:
    assert fetcher(server, authority).fetch(f"https://{HOST}{path}").body == PAGE.body


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/bomb", "larger than 2 MB"),
        ("/large", "larger than 2 MB"),
        ("/endless", "larger than 2 MB"),
        ("/torn", "in the middle"),
        ("/short", "in the middle"),
        ("/odd", "'br'"),
        ("/not-packed", "can't be understood"),
        ("/picture", "image/gif, neither a page nor a feed"),
        ("/untyped", "neither a page nor a feed"),
        ("/gone", "answers 410"),
        ("/nowhere", "answers 404"),
        ("/once", "more than 3 times"),
        ("/round", "more than 3 times"),
        ("/inside", "'localhost' leads to 127.0.0.2, which is not a public address"),
        ("/inside-by-number", "not a public address"),
        ("/inside-by-six", "not a public address"),
        ("/metadata", "not a public address"),
        ("/plain", "https://"),
        ("/file", "https://"),
    ],
)
def test_what_is_not_taken_is_told_in_one_line(server: WebServer, authority: Authority, path: str, word: str) -> None:
    told = said(fetcher(server, authority), f"https://{HOST}{path}")
    assert told.startswith(f"https://{HOST}{path}: ")
    assert word in told


@pytest.mark.parametrize("path", ["/slow-loris", "/slow-body"])
def test_a_server_that_dawdles_is_left(server: WebServer, authority: Authority, path: str) -> None:
    """Long before it would have come to an end."""
    began = time.monotonic()
    assert "too long" in said(fetcher(server, authority, seconds=0.5), f"https://{HOST}{path}")
    assert time.monotonic() - began < 30


def test_a_server_that_never_says_a_word_is_left(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alone = Fetcher(resolve=lambda *_: [HERE], is_allowed=bool, port=silent.getsockname()[1], seconds=0.3)
        assert "too long" in said(alone, f"https://{HOST}/")


def test_nobody_listening_is_told(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert "no connection" in said(Fetcher(resolve=lambda *_: [HERE], is_allowed=bool, port=port), f"https://{HOST}/")


def test_another_name_s_certificate_is_not_taken(server: WebServer, authority: Authority) -> None:
    named = fetcher(server, authority)
    named.resolve = lambda *_: [HERE]
    assert "certificate" in said(named, "https://other.example.org/")
    assert "certificate" in said(
        Fetcher(resolve=lambda *_: [HERE], is_allowed=bool, port=server.port), f"https://{HOST}/"
    )


INSIDE = [
    *("127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "127.0.0.1", "10.0.0.1", "192.168.0.1"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]"),
    *("169.254.169.254", "[64:ff9b::169.254.169.254]", "100.64.0.1", "0.0.0.0", "0", "224.0.0.1", "[ff02::1]"),
    *("[2002:7f00:1::]", "[64:ff9b:1::a00:1]", "[::127.0.0.1]"),
]


@pytest.mark.parametrize("host", INSIDE)
def test_no_spelling_of_an_address_within_is_reached(host: str) -> None:
    assert "not a public address" in said(Fetcher(), f"https://{host}/")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://news.example.org/", "https://"),
        ("ftp://news.example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://127.0.0.1:25/", "https://"),
        ("https://", "https://"),
        ("news.example.org", "https://"),
        ("https://ada:secret@news.example.org/", "password"),
        ("https://news.example.org:25/", "port 443"),
        ("https://[::1/", "not an address"),
        ("https://a..é.example/", "not an address"),
        ("https://news.example.org:x/", "not an address"),
    ],
)
def test_an_address_of_another_kind_is_refused_before_anything_is_asked(url: str, word: str) -> None:
    asked: list[str] = []

    def resolve(host: str, _: float) -> list[Address]:
        asked.append(host)
        return []

    assert word in said(Fetcher(resolve=resolve), url)
    assert asked == []


def test_one_address_within_spoils_all_of_a_name_s() -> None:
    mixed = [ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("10.0.0.1")]
    assert "10.0.0.1, which is not a public address" in said(Fetcher(resolve=lambda *_: mixed), f"https://{HOST}/")


class Turncoat(NameServer):
    """Answers each question for an address with the next of its addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__({})
        self.left = list(addresses)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        self.zone = {(HOST, "A"): self.left[:1]}
        if query.question[0].rdtype == dns.rdatatype.A:
            self.left = self.left[1:] or self.left
        return super().answer(query)


def asking(names: NameServer) -> Resolver:
    resolver = Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = int(names.address.partition(":")[2])
    return resolver


def test_a_name_that_changes_its_address_between_two_questions_gains_nothing(
    server: WebServer, authority: Authority
) -> None:
    """DNS rebinding: the name is asked for once, and the connection goes to what was looked at."""
    with Turncoat("127.0.0.1", "127.0.0.2") as names:
        one = fetcher(server, authority)
        one.resolve = partial(look_up, resolver=asking(names))
        assert one.fetch(f"https://{HOST}/").body == PAGE.body
        assert [kind for _, kind in names.asked].count("A") == 1
        assert "127.0.0.2, which is not a public address" in said(one, f"https://{HOST}/"), (
            "a redirect would be looked at, too"
        )


def test_a_name_that_nobody_knows_is_told() -> None:
    with NameServer({("other.example", "A"): ["192.0.2.1"]}) as names:
        nowhere = Fetcher(resolve=partial(look_up, resolver=asking(names)))
        assert "there is no 'nothing.example'" in said(nowhere, "https://nothing.example/")


def test_links_are_tried(server: WebServer, authority: Authority) -> None:
    one = fetcher(server, authority)
    assert [one.answers(f"https://{HOST}{path}") for path in ("/moved", "/gone", "/picture")] == [200, 410, 200]
    assert "not a public address" in str(one.answers(f"https://{HOST}/inside"))
    assert "https://" in str(one.answers("http://example.org/"))


def test_a_name_is_no_number() -> None:
    assert literal("example.org") == []
