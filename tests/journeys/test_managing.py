"""One's own subscription by a mailed link (D-132): see it, change it, pause it, take the data along, be forgotten."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from ..installation import BASE_URL, RECAP, Installation, link_in
from ..servers.ports import free_port

BEGIN = "2026-03-01T12:00:00Z"


def kinds(here: Installation, email: str = "ada@example.org") -> list[str]:
    return [event["kind"] for event in here.json("subscriber", "show", email)["consent"]]


def part(link: str, name: str) -> str:
    return link.replace("?", f"/{name}?")


def person(here: Installation, email: str = "ada@example.org") -> dict[str, Any]:
    found: dict[str, Any] = here.json("subscriber", "show", email)
    return found


def test_the_page_answers_alike_for_every_address(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.sign_up("pending@example.org")
    here.run("run-due")
    here.mail_server.mails.clear()
    emails = ("ada@example.org", "pending@example.org", "nobody@example.org", "ada@example.org")
    answers = [here.site.post("/manage", data={"email": email}) for email in emails]
    assert len({(answer.status_code, answer.data, tuple(answer.headers)) for answer in answers}) == 1
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["ada@example.org", "pending@example.org"]
    assert here.counts() == {"pending": 1, "confirmed": 1, "ended": 0}, "asking adds nobody"


def test_an_address_that_can_not_be_is_said_beside_the_field(here: Installation) -> None:
    answer = here.site.post("/manage", data={"email": "ada at example"})
    assert answer.status_code == 400
    assert 'aria-describedby="email-hint email-error"' in answer.text
    assert '<a href="#email">' in answer.text


def test_the_summary_shows_what_is_set_with_a_link_to_change_each(here: Installation) -> None:
    here.run("topic", "add", "policy", "--name", "en=Policy")
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    page = here.site.get(link).text
    for words in ("ada@example.org", "English", "Every week", "Everything"):
        assert words in page
    for name in ("address", "language", "frequency", "topics", "pause"):
        assert f"/{name}?lang=en" in page
        assert here.site.get(part(link, name)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "name", "value", "shown"),
    [
        ({"frequency": "monthly"}, "frequency", "monthly", "Every month"),
        ({"language": "fr"}, "language", "fr", "Français"),
        ({"topics": ["", "policy", "law"]}, "topics", ["policy", "law"], "Policy"),
        ({"topics": [""]}, "topics", [], "Everything"),
    ],
)
def test_a_choice_is_changed_and_the_change_is_on_record(
    here: Installation, fields: dict[str, object], name: str, value: object, shown: str
) -> None:
    for key in ("policy", "law"):
        here.run("topic", "add", key)
    here.sign_up("ada@example.org", topics=["law"])
    here.run("run-due")
    here.confirm("ada@example.org")
    link = here.manage_link("ada@example.org")
    answer = here.site.post(link, data=fields)
    assert answer.status_code == 303
    page = here.site.get(answer.headers["Location"]).text
    assert 'role="status"' in page
    assert shown in page
    assert person(here)[name] == value
    assert kinds(here) == ["asked", "confirmed", "changed"]
    assert person(here)["consent"][-1]["source"] == f"{BASE_URL}/manage/ ({name})"


def test_several_things_may_be_sent_at_once(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.site.post(here.manage_link("ada@example.org"), data={"language": "fr", "frequency": "immediate"})
    assert (person(here)["language"], person(here)["frequency"]) == ("fr", "immediate")


def test_saving_what_was_so_before_changes_nothing(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.site.post(here.manage_link("ada@example.org"), data={"frequency": "weekly"})
    assert kinds(here) == ["asked", "confirmed"]


@pytest.mark.parametrize(
    "fields",
    [
        {"language": "tlh"},
        {"frequency": "hourly"},
        {"topics": "Not a topic!"},
        {"paused_until": "soon"},
        {"paused_until": "2020-01-01"},
        {"paused_until": "9999-12-31"},
        {"paused_until": "0001-01-01"},
        {"email": "nobody"},
        {"email": "ada@example.org"},
        {"email": ""},
        {"frequency": "monthly", "language": "\0"},
    ],
)
def test_what_can_not_be_is_refused_beside_the_field_and_changes_nothing(
    here: Installation, fields: dict[str, str]
) -> None:
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    before = person(here)
    answer = here.site.post(link, data=fields)
    assert answer.status_code == 400
    assert "There is a problem" in answer.text
    assert person(here) == before


def test_a_link_dies_after_thirty_minutes_and_offers_another_without_an_address(here: Installation) -> None:
    """D-132"""
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("ada@example.org")
        link = here.manage_link("ada@example.org")
        clock.move_to("2026-03-01T12:29:00Z")
        assert here.site.get(link).status_code == 200
        clock.move_to("2026-03-01T12:31:00Z")
        for url in (link, part(link, "frequency"), part(link, "data.json")):
            page = here.site.get(url)
            assert page.status_code == 410
            assert "ada@example.org" not in page.text
        assert here.site.post(link, data={"frequency": "monthly"}).status_code == 410
        assert here.site.post(link, data={"erase": "yes"}).status_code == 410
        assert person(here)["frequency"] == "weekly"
        fresh = part(link, "fresh")
        assert [here.site.post(fresh).status_code for _ in range(2)] == [200, 200]
        here.run("run-due")
        assert len(here.letters("ada@example.org")) == 2, "one more, however often the button is pressed"
        assert here.site.get(link_in(here.letters("ada@example.org")[-1], "manage")).status_code == 200


def test_who_is_done_ends_every_link(here: Installation) -> None:
    """D-132: a session ends when its owner says so."""
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    assert "You are done" in here.site.post(part(link, "close")).text
    assert here.site.get(link).status_code == 410
    with time_machine.travel("2030-01-01T12:00:00Z"):
        assert here.site.get(here.manage_link("ada@example.org")).status_code == 200


def test_who_pauses_gets_no_digest_until_the_day(here: Installation) -> None:
    here.configure(TIMEZONE="Asia/Tokyo")
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("ada@example.org", "benoit@example.org")
        link = here.manage_link("ada@example.org")
        assert "not sent to you later" in here.site.get(part(link, "pause")).text
        here.site.post(link, data={"paused_until": "2026-03-10"})
        assert "Mail comes again on 10 March 2026" in here.site.get(link).text
        assert kinds(here)[-1] == "changed"
        here.mail_server.mails.clear()
        clock.move_to("2026-03-09T14:59:00Z")  # the 9th in Tokyo, still
        here.run("digest", "send", here.draft(), "--yes", "--expect", "1")
        assert [mail.to for mail in here.mail_server.mails] == ["benoit@example.org"]
        clock.move_to("2026-03-09T15:01:00Z")
        here.run("digest", "send", here.draft(RECAP.replace("key: recap", "key: another")), "--yes", "--expect", "2")
        assert len(here.letters("ada@example.org")) == 1


def test_who_pauses_while_a_digest_waits_does_not_get_it(here: Installation) -> None:
    here.subscribed("ada@example.org", "benoit@example.org")
    link = here.manage_link("ada@example.org")
    here.mail_server.mails.clear()
    digest, port = here.draft(), here.settings["MAIL_PORT"]
    here.configure(MAIL_PORT=free_port())
    here.error("digest", "send", digest, "--yes")
    here.configure(MAIL_PORT=port)
    here.site.post(link, data={"paused_until": f"{datetime.now(UTC).date() + timedelta(days=9)}"})
    here.run("digest", "send", digest)
    assert [mail.to for mail in here.mail_server.mails] == ["benoit@example.org"]
    assert here.status(digest)["cancelled"] == 1


def test_a_pause_can_be_ended_before_its_day(here: Installation) -> None:
    with time_machine.travel(BEGIN):
        here.subscribed("ada@example.org")
        link = here.manage_link("ada@example.org")
        here.site.post(link, data={"paused_until": "2026-03-10"})
        here.site.post(link, data={"paused_until": ""})
        assert person(here)["paused_until"] is None
        here.run("digest", "send", here.draft(), "--yes", "--expect", "1")


def test_everything_that_is_held_can_be_taken_along(here: Installation) -> None:
    """D-132: GDPR 15 and 20."""
    here.run("topic", "add", "policy")
    here.sign_up("ada@example.org", topics=["policy"])
    here.run("run-due")
    here.confirm("ada@example.org")
    link = here.manage_link("ada@example.org")
    as_json = here.site.get(part(link, "data.json"))
    assert json.loads(as_json.text) == person(here)
    assert as_json.headers["Content-Disposition"] == "attachment; filename=my-data.json"
    table = list(csv.DictReader(io.StringIO(here.site.get(part(link, "data.csv")).text)))
    values = {(row["part"], row["number"], row["name"]): row["value"] for row in table}
    assert values["subscription", "", "email"] == "ada@example.org"
    assert values["subscription", "", "topics"] == "policy"
    assert values["consent", "2", "kind"] == "confirmed"
    assert values["deliveries", "1", "letter"] == "confirmation"


def test_what_we_hold_has_the_pause_the_not_me_and_every_change_of_address(here: Installation) -> None:
    """GDPR 15: all of it. Where somebody moved to is not told to the mailbox that they left."""
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    here.site.post(link, data={"paused_until": until})
    here.site.post(link, data={"email": "new@example.org"})
    held = json.loads(here.site.get(part(link, "data.json")).text)
    assert held["paused_until"]
    assert [move["done_at"] for move in held["moves"]] == [None]
    here.run("run-due")
    here.confirm("new@example.org")
    held = here.site.get(part(link, "data.json")).text
    assert json.loads(held)["moves"][0]["done_at"]
    assert "new@example.org" not in held
    here.sign_up("eva@example.org")
    here.run("run-due")
    here.site.post(link_in(here.letters("eva@example.org")[0], "not-me"))
    assert person(here, "eva@example.org")["not_me_at"]


def test_a_table_holds_no_formula(here: Installation) -> None:
    """D-167"""
    here.sign_up("=cmd@example.org")
    here.run("run-due")
    here.confirm("=cmd@example.org")
    assert "'=cmd@example.org" in here.site.get(part(here.manage_link("=cmd@example.org"), "data.csv")).text


def link_to_leave(here: Installation, email: str) -> str:
    found = re.search(r'href="(/unsubscribe/[^"]+)"', here.site.get(here.manage_link(email)).text)
    assert found
    return found[1]


def test_the_link_leads_to_leaving(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.site.post(link_to_leave(here, "ada@example.org"))
    assert here.json("stats")["ended"] == 1


def test_who_asks_is_forgotten(here: Installation) -> None:
    """D-132, D-133"""
    here.subscribed("ada@example.org")
    link = here.manage_link("ada@example.org")
    assert "Erase everything</button>" in here.site.get(part(link, "erase")).text
    assert "Your data is erased" in here.site.post(link, data={"erase": "yes"}).text
    assert "is not on the list" in here.error("subscriber", "show", "ada@example.org")
    assert here.site.get(link).status_code == 410
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")


def test_who_asks_is_never_written_to_again(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.site.post(here.manage_link("ada@example.org"), data={"erase": "yes", "never_again": "yes"})
    here.mail_server.mails.clear()
    here.sign_up("ada@example.org")
    here.run("run-due")
    assert here.mail_server.mails == []


def test_who_is_not_subscribed_sees_and_erases_what_is_held_and_changes_nothing(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("subscriber", "unsubscribe", "ada@example.org")
    link = here.manage_link("ada@example.org")
    page = here.site.get(link).text
    assert "/erase?" in page
    assert "/frequency?" not in page
    assert here.site.get(part(link, "frequency")).status_code == 404
    here.site.post(link, data={"frequency": "monthly"})
    here.site.post(link, data={"email": "new@example.org"})
    here.run("run-due")
    assert person(here)["frequency"] == "weekly"
    assert here.letters("new@example.org") == []


# A change of address.


def move(here: Installation, old: str, new: str) -> None:
    """Ask for the change, and confirm it at the new address."""
    answer = here.site.post(here.manage_link(old), data={"email": new})
    assert "We have written to the new address" in answer.text
    here.run("run-due")
    here.confirm(new)
    here.run("run-due")


def reaches(here: Installation) -> list[str]:
    """Who gets a digest."""
    here.mail_server.mails.clear()
    here.run("digest", "send", here.draft(), "--yes")
    return [mail.to for mail in here.mail_server.mails]


def test_an_address_is_changed_when_the_new_one_has_confirmed(here: Installation) -> None:
    """D-132"""
    here.run("topic", "add", "policy")
    here.sign_up("old@example.org", language="fr", frequency="monthly", topics=["policy"])
    here.run("run-due")
    here.confirm("old@example.org")
    link = here.manage_link("old@example.org")
    here.site.post(link, data={"email": "new@example.org"})
    here.run("run-due")
    assert here.counts() == {"pending": 1, "confirmed": 1, "ended": 0}, "nothing changes until it is confirmed"
    here.confirm("new@example.org")
    new = person(here, "new@example.org")
    chosen = (new["state"], new["language"], new["frequency"], new["topics"])
    assert chosen == ("confirmed", "fr", "monthly", ["policy"])
    assert new["took_the_place_of"] == ["old@example.org"]
    assert kinds(here, "new@example.org") == ["asked", "confirmed"]
    assert kinds(here, "old@example.org")[-1] == "moved"
    assert reaches(here) == ["new@example.org"]


def test_the_old_address_is_told_and_can_take_it_back(here: Installation) -> None:
    """D-132: notice to the old address, with a way to object."""
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("old@example.org")
        leave = link_to_leave(here, "old@example.org")
        clock.move_to("2026-03-01T12:15:00Z")
        move(here, "old@example.org", "new@example.org")
        notice = here.letters("old@example.org")[-1]
        assert notice.subject == "Your address on Frontier Technologies was changed"
        assert "new@example.org" not in notice.part("plain")
        link = link_in(notice, "restore")
        assert here.counts() == {"pending": 0, "confirmed": 1, "ended": 1}
        assert "/goodbye/" not in here.site.post(leave).text, "it is taken back by its own link alone"
        clock.move_to("2026-03-08T11:00:00Z")
        assert "Change it back</button>" in here.site.get(link).text
        assert "You are subscribed" in here.site.post(link).text
        assert here.site.post(link).status_code == 410
        assert reaches(here) == ["old@example.org"]
        assert kinds(here, "old@example.org")[-1] == "resumed"


def test_a_change_can_not_be_taken_back_after_a_week_nor_against_a_later_wish(here: Installation) -> None:
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("old@example.org")
        move(here, "old@example.org", "new@example.org")
        link = link_in(here.letters("old@example.org")[-1], "restore")
        here.sign_up("old@example.org")
        here.run("run-due")
        here.confirm("old@example.org")
        here.run("subscriber", "unsubscribe", "old@example.org")
        assert here.site.post(link).status_code == 410
        clock.move_to("2026-03-08T12:30:00Z")
        assert here.site.get(link).status_code == 410


def test_moving_to_an_address_that_is_subscribed_tells_only_its_owner(here: Installation) -> None:
    here.subscribed("ada@example.org", "benoit@example.org")
    link = here.manage_link("ada@example.org")
    known = here.site.post(link, data={"email": "benoit@example.org"})
    unknown = here.site.post(link, data={"email": "new@example.org"})
    assert known.data == unknown.data
    here.run("run-due")
    assert here.letters("benoit@example.org")[0].subject.startswith("You are already subscribed")
    assert here.json("stats")["confirmed"] == 2


def test_who_signs_up_by_the_form_takes_nobodys_place(here: Installation) -> None:
    with time_machine.travel(BEGIN) as clock:
        here.subscribed("ada@example.org")
        here.site.post(here.manage_link("ada@example.org"), data={"email": "benoit@example.org"})
        clock.move_to("2026-03-01T13:00:00Z")
        here.sign_up("benoit@example.org")
        here.run("run-due")
        here.confirm("benoit@example.org")
        assert here.json("stats")["confirmed"] == 2


def test_who_moves_there_and_back_is_where_they_began(here: Installation) -> None:
    with time_machine.travel(BEGIN):
        here.subscribed("one@example.org")
        move(here, "one@example.org", "two@example.org")
        move(here, "two@example.org", "one@example.org")
        assert reaches(here) == ["one@example.org"]
        assert person(here, "one@example.org")["took_the_place_of"] == ["two@example.org"]


def test_who_is_forgotten_is_forgotten_under_the_former_address_too(here: Installation) -> None:
    here.subscribed("old@example.org")
    move(here, "old@example.org", "new@example.org")
    here.site.post(here.manage_link("new@example.org"), data={"erase": "yes"})
    for email in ("old@example.org", "new@example.org"):
        assert "is not on the list" in here.error("subscriber", "show", email)
