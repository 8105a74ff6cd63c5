"""Addresses with more than ASCII before the @ (RFC 6531): D-17."""

import pytest

from ..installation import Installation

ADDRESS = "пользователь@пример.рф"
ARRIVED = "пользователь@xn--e1afmkfd.xn--p1ai"


def answers(here: Installation) -> list[int]:
    """What the form and the API say to such an address."""
    form = here.site.post("/subscribe", data={"email": ADDRESS})
    api = here.site.post("/api/v1/subscriptions", json={"email": ADDRESS})
    if form.status_code == 400:
        assert "Use another address, please" in form.text
        assert "Use another address, please" in api.get_json()["error"]
    return [form.status_code, api.status_code]


def spoken_to(here: Installation) -> None:
    """The mail server has had a letter to take."""
    here.sign_up("ada@example.org")
    here.run("run-due")


def test_nothing_is_promised_before_the_mail_server_has_been_spoken_to(here: Installation) -> None:
    assert answers(here) == [400, 400]
    assert "has not offered SMTPUTF8" in here.error("subscriber", "add", ADDRESS)
    assert here.counts()["pending"] == 0


def test_where_the_mail_server_offers_it_everything_works(here: Installation) -> None:
    spoken_to(here)
    assert answers(here) == [200, 202]
    here.run("run-due")
    here.confirm(ARRIVED)
    here.run("digest", "send", here.draft(), "--yes")
    assert here.letters(ARRIVED)[-1].message["List-Id"]
    assert here.json("subscriber", "show", ADDRESS.upper())["email"] == ARRIVED


def test_where_it_does_not_another_address_is_asked_for(here: Installation) -> None:
    here.mail_server.extensions.remove("SMTPUTF8")
    spoken_to(here)
    assert answers(here) == [400, 400]


def test_a_server_that_no_longer_offers_it_makes_nobody_bounce(here: Installation) -> None:
    spoken_to(here)
    here.sign_up(ADDRESS)
    here.run("run-due")
    here.confirm(ARRIVED)
    here.mail_server.extensions.remove("SMTPUTF8")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    account = here.status(digest)
    assert (account["blocked"], account["bounced"]) == (1, 0)
    assert "5.6.7" in here.json("digest", "report", digest)[0]["reply"]
    assert answers(here) == [400, 400]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_such_an_address_may_be_imported_and_exported(here: Installation) -> None:
    path = here.write("list.csv", f"email\n{ADDRESS}\n")
    assert "added 1" in here.run("subscriber", "import", path, "--basis", "x").stdout
    here.run("subscriber", "export", "out.csv")
    assert ARRIVED in (here.folder / "out.csv").read_text("utf-8-sig")
