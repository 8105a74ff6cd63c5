"""Addresses that are written well and can't be right: no mail at the domain, mistyped, our own (D-124, D-126)."""

from collections.abc import Iterator

import pytest

from ..installation import Installation
from ..servers.dns import WORLD, NameServer
from ..strangers import Stranger, hidden

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = sqlite_only

ZONE = {
    **WORLD,
    ("mail.de", "MX"): ["10 mx.mail.de."],
    ("gmial.com", "MX"): ["10 mx.squatter.net."],
    ("old.net", "A"): ["93.184.215.14"],
    ("old.net", "TXT"): ['"v=spf1 mx -all"'],
    ("nomail.org", "MX"): ["0 ."],
    ("web-only.org", "A"): ["10.0.0.1"],
    ("bücher.ch".encode("idna").decode(), "MX"): ["10 mx.mail.de."],
}


@pytest.fixture
def names(here: Installation) -> Iterator[NameServer]:
    with NameServer(ZONE) as server:
        here.configure(DNS_RESOLVER=server.address)
        yield server


@pytest.mark.parametrize("domain", ["mail.de", "old.net", "bücher.ch", "anything.example", "example.org"])
def test_a_domain_that_takes_mail_is_taken(here: Installation, names: NameServer, domain: str) -> None:
    assert here.site.post("/subscribe", data={"email": f"ada@{domain}"}).status_code == 200
    reserved = domain.endswith(("example", "example.org"))
    assert bool(names.asked) != reserved, "names of examples are never asked about"


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("domain", ["nothing.net", "nomail.org", "web-only.org"])
def test_a_domain_that_takes_no_mail_is_said_beside_the_field(here: Installation, domain: str) -> None:
    """D-124: NXDOMAIN, null MX (RFC 7505), no address that anybody can reach; the API says so, too."""
    answer = here.site.post("/subscribe", data={"email": f"ada@{domain}"})
    assert answer.status_code == 400
    assert f"No mail can be sent to {domain}. Check the part after the @." in answer.text
    assert f'value="ada@{domain}"' in answer.text
    answer = here.site.post("/api/v1/subscriptions", json={"email": f"ada@{domain}"})
    assert (answer.status_code, domain in answer.get_json()["error"]) == (400, True)
    assert here.json("stats")["pending"] == 0


def test_an_answer_is_remembered(here: Installation, names: NameServer) -> None:
    for name in ("a", "b", "c"):
        here.site.post("/subscribe", data={"email": f"{name}@mail.de"})
    assert names.asked == [("mail.de", "MX")]


def test_who_can_not_be_asked_stops_nobody(here: Installation) -> None:
    """D-124: 3 seconds at most, once in a while, then everybody is let through."""
    with NameServer(ZONE, silent=True) as silent:
        here.configure(DNS_RESOLVER=silent.address)
        assert here.site.post("/subscribe", data={"email": "ada@nothing.net"}).status_code == 200
        assert {name for name, _ in silent.asked} == {"nothing.net"}
        assert silent.heard[-1] - silent.heard[0] < 3.5, "it is asked every two seconds until it is given up"
        for name in "abcd":
            assert here.site.post("/subscribe", data={"email": f"a@{name}.net"}).status_code == 200
        assert {name for name, _ in silent.asked} == {"nothing.net"}, "nobody else waits"


def test_a_closed_network_that_denies_the_world_is_not_believed(here: Installation) -> None:
    with NameServer({("intern.lan", "MX"): ["10 mx.intern.lan."]}) as closed:
        here.configure(DNS_RESOLVER=closed.address)
        assert here.site.post("/subscribe", data={"email": "ada@gmail.com"}).status_code == 200


def test_nobody_there_stops_nobody(here: Installation) -> None:
    here.configure(DNS_RESOLVER="127.0.0.1:1")
    assert here.site.post("/subscribe", data={"email": "ada@nothing.net"}).status_code == 200


@pytest.mark.usefixtures("names")
def test_what_looks_mistyped_is_asked_about_and_never_changed(here: Installation) -> None:
    """D-124: sent once more, it is meant."""
    asked = Stranger(here).post("ada@gmial.com", frequency="monthly")
    assert asked.status_code == 400
    assert "Did you mean ada@gmail.com?" in asked.text
    assert 'value="ada@gmial.com"' in asked.text
    kept = {"email": "ada@gmial.com", **hidden(asked)}
    assert here.site.post("/subscribe", data=kept).status_code == 200
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["ada@gmial.com"]


def test_only_our_own_form_asks(here: Installation) -> None:
    here.configure(DNS_RESOLVER="off")
    assert here.site.post("/subscribe", data={"email": "ada@gmial.com"}).status_code == 200
    assert here.site.post("/api/v1/subscriptions", json={"email": "eva@gmial.com"}).status_code == 202


@pytest.mark.parametrize("name", ["abuse", "Postmaster", "mailer-daemon", "noreply", "no-reply", "spam", "spam+1"])
def test_a_robots_address_is_refused(here: Installation, name: str) -> None:
    """D-126."""
    assert here.site.post("/subscribe", data={"email": f"{name}@example.org"}).status_code == 400


@pytest.mark.parametrize("name", ["info", "office", "contact", "owner", "abused"])
def test_an_office_may_read(here: Installation, name: str) -> None:
    assert here.site.post("/subscribe", data={"email": f"{name}@example.org"}).status_code == 200


@pytest.mark.parametrize(
    "ours",
    [
        "news@lists.example.org",
        "NEWS@Lists.Example.Org",
        "news+42=ada@lists.example.org",
        "account@lists.example.org",
        "frontier-technologies@lists.example.org",
        "frontier-technologies-bounces@lists.example.org",
        "bounces+abc@lists.example.org",
        "bounce@example.net",
    ],
)
def test_the_list_does_not_write_to_itself(here: Installation, ours: str) -> None:
    """D-126: no letter goes round and round at our own domains."""
    here.configure(BASE_URL="https://example.net", MAIL_ACCOUNT_SENDER="account@lists.example.org")
    assert here.site.post("/subscribe", data={"email": ours}).status_code == 400
    assert "an address of the list itself" in here.error("subscriber", "add", ours)
    assert here.site.post("/subscribe", data={"email": "ada@lists.example.org"}).status_code == 200
