"""What can be shown of a person's consent, and of what operators did; and that nobody can change it."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from mailer.db import db, transaction

from ..installation import Installation, link_in


def test_a_confirmed_persons_record_is_complete(here: Installation) -> None:
    """D-129: event, time, address and program of the visitor, page, list and choices, the exact words and the privacy
    notice in the language shown, the letter and when it was accepted."""
    here.run("topic", "add", "policy")
    visitor = {"headers": {"User-Agent": "Tester/1"}, "environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    data = {"email": "ada@example.org", "frequency": "monthly", "topics": ["policy"], "language": "fr"}
    here.site.post("/subscribe?lang=fr", data=data, **visitor)  # type: ignore[arg-type]
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    pages = [here.site.get(page).text for page in ("/?lang=fr", link_in(letter, "confirm"))]
    here.confirm("ada@example.org")
    record = here.json("subscriber", "show", "ada@example.org")
    asked, confirmed = record["consent"]
    assert record["list"] == "Frontier Technologies"
    assert (asked["kind"], asked["ip"], asked["user_agent"]) == ("asked", "192.0.2.7", "Tester/1")
    assert asked["source"] == "http://127.0.0.1:8000/subscribe"
    assert (asked["frequency"], asked["topics"], asked["language"]) == ("monthly", ["policy"], "fr")
    assert asked["letter"]["message_id"] == letter.message["Message-ID"]
    assert asked["letter"]["accepted_at"]
    assert (confirmed["kind"], confirmed["ip"]) == ("confirmed", "127.0.0.1")
    for version in (asked["wording_version"], asked["notice_version"], confirmed["wording_version"]):
        shown = here.json("wording", "show", version["id"])
        assert (shown["sha256"], shown["language"]) == (version["sha256"], version["language"])
    assert here.json("wording", "show", asked["wording_version"]["id"])["text"] == asked["wording"]
    assert all(asked["wording"] in page for page in pages), "what is evidence was shown"
    printed = here.run("subscriber", "show", "ada@example.org").stdout
    for words in ("192.0.2.7", letter.message["Message-ID"], "mailer wording show", "monthly", asked["wording"]):
        assert str(words) in printed


def test_every_version_of_a_wording_is_kept_once(here: Installation) -> None:
    """D-129: a changed text is a new version, and the old one can still be read."""
    here.sign_up("ada@example.org")
    here.sign_up("benoit@example.org")
    here.configure(LIST_NAME="Frontier", LIST_OWNER="owner@example.org")
    here.run("init")
    here.sign_up("chen@example.org")
    found = [(each["kind"], each["id"]) for each in here.json("wording", "list")]
    assert [kind for kind, _ in found] == ["sign-up", "privacy-notice"] * 2
    texts = [here.run("wording", "show", row_id).stdout for kind, row_id in found if kind == "sign-up"]
    assert "Frontier Technologies" in texts[0]
    assert "Frontier Technologies" not in texts[1]
    notice = here.run("wording", "show", found[3][1]).stdout
    assert "write to owner@example.org" in notice
    assert "<p>" not in notice
    assert "sign-up" in here.run("wording", "list").stdout
    assert "there is no wording 99" in here.error("wording", "show", 99)


def test_who_leaves_is_not_said_to_have_agreed_to_anything(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("subscriber", "unsubscribe", "ada@example.org")
    event = here.json("subscriber", "show", "ada@example.org")["consent"][-1]
    assert (event["kind"], event["wording"], event["wording_version"]) == ("unsubscribed", None, None)


STRAY = [
    "UPDATE consent_event SET source = 'x'",
    "UPDATE consent_event SET kind = kind",
    "DELETE FROM consent_event",
    "DELETE FROM subscriber",
    "UPDATE wording SET text = 'x'",
    "DELETE FROM wording WHERE id NOT IN (SELECT wording_id FROM consent_event WHERE wording_id IS NOT NULL)",
    "UPDATE audit SET who = 'x'",
    "DELETE FROM audit",
]
ONLY_SQLITE = ["INSERT OR REPLACE INTO consent_event SELECT * FROM consent_event"]
ONLY_POSTGRESQL = ["TRUNCATE consent_event", "TRUNCATE audit", "TRUNCATE wording CASCADE"]


@pytest.mark.usefixtures("app_context")
def test_a_stray_change_of_evidence_fails_wherever_it_comes_from(here: Installation) -> None:
    """D-129, D-137: the database itself refuses it, whoever connects to it."""
    here.sign_up("ada@example.org")
    here.imported(2)
    before = here.json("subscriber", "show", "ada@example.org")["consent"], here.json("audit")
    own = ONLY_SQLITE if db.engine.dialect.name == "sqlite" else ONLY_POSTGRESQL
    for statement in [*STRAY, *own]:
        with pytest.raises(DBAPIError), db.engine.begin() as connection:
            connection.execute(sa.text(statement))
    assert (here.json("subscriber", "show", "ada@example.org")["consent"], here.json("audit")) == before


def remove_evidence(mark: str) -> None:
    with transaction() as session:
        session.execute(sa.text(f"UPDATE subscriber SET {mark} WHERE id = 1"))
        session.execute(sa.text("DELETE FROM consent_event WHERE subscription_id = 1"))


@pytest.mark.usefixtures("app_context")
def test_only_the_evidence_of_who_was_erased_can_go(here: Installation) -> None:
    """D-133: a mark alone does not do; nothing may be known of the person any more."""
    here.imported(2)
    blank = "email = NULL, email_key = NULL, erased_at = created_at"
    for mark in ("erased_at = created_at", f"{blank}, email_hash = 'x'"):
        with pytest.raises(IntegrityError):
            remove_evidence(mark)
    remove_evidence(blank)
    with db.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM consent_event")) == 1


def test_what_operators_do_is_in_the_book(here: Installation) -> None:
    """D-137: who exported, sent, changed and erased; and no address is in it."""
    here.imported(2)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    here.run("subscriber", "export", "list.csv", "--state", "confirmed")
    here.run("subscriber", "add", "ada@example.org")
    here.run("subscriber", "unsubscribe", "person0@example.org")
    here.run("subscriber", "erase", "person1@example.org", "--never-again")
    here.run("subscriber", "import", "people.csv", "--basis", "person1@example.org asked for it")
    here.run("announcement", "add", here.write("x.md", "---\ntitle: x\ndate: 2023-01-01\nkey: x\n---\n"))
    here.run("announcement", "remove", 2)
    book = here.json("audit")
    assert [entry["act"] for entry in book] == [
        "subscriber import",
        "digest compose",
        "digest send",
        "subscriber export",
        "subscriber add",
        "subscriber unsubscribe",
        "erase",
        "subscriber import",
        "announcement add",
        "announcement remove",
    ]
    told = here.run("audit").stdout
    assert "state confirmed" in told
    assert "example.org" not in told
    assert here.run("audit", "--since", "2999-01-01").stdout == ""
    assert all(entry["who"] for entry in book)


def test_the_numbers_of_the_list(here: Installation) -> None:
    here.imported(3)
    here.sign_up("ada@example.org")
    here.run("subscriber", "unsubscribe", "person0@example.org")
    here.run("subscriber", "erase", "person1@example.org", "--never-again")
    found = here.json("stats")
    assert (found["pending"], found["confirmed"], found["ended"]) == (1, 1, 2)
    assert (found["ended_reasons"]["unsubscribed"], found["ended_reasons"]["erased"]) == (1, 1)
    assert (found["languages"], found["frequencies"]["weekly"], found["suppressed"]) == ({"en": 1}, 1, 1)
    assert (found["confirmed_in_30_days"], found["ended_in_30_days"], found["letters_waiting"]) == (1, 2, 1)
    assert "1 unsubscribed" in here.run("stats").stdout
