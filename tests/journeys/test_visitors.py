"""What people do on the pages, in a real browser: D-174."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from playwright.sync_api import Browser, expect

from mailer.languages import day_in

from ..installation import Installation, LiveSite, leave_link, link_in
from ..visitor import Visitor

HANDS = {"mouse": {}, "no JavaScript": {"scripts": False}, "keyboard": {"keyboard": True}}

# The pages are the same on each database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(params=["en", "ar"])
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=HANDS)
def visitor(here: Installation, browser: Browser, code: str, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with LiveSite(here.app) as site:
        person = Visitor(browser, site.url, code, **HANDS[request.param])
        yield person
        person.close()


def test_a_person_signs_up_confirms_and_leaves(here: Installation, visitor: Visitor) -> None:
    visitor.open("/")
    visitor.write("Your e-mail address", "ada@example.org")
    visitor.press("Subscribe")
    visitor.sees("Check your mail")
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    assert letter.message["Content-Language"] == visitor.code
    visitor.open(link_in(letter, "confirm"))
    visitor.press("Confirm my subscription")
    visitor.sees("You are subscribed")
    here.run("digest", "send", here.draft(), "--yes")
    visitor.open(leave_link(here.letters("ada@example.org")[-1]))
    visitor.press("Unsubscribe")
    visitor.sees("You have left the list")
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}


def settings(here: Installation, visitor: Visitor) -> None:
    """Somebody who is subscribed asks for the link to their settings, and opens it."""
    here.subscribed("ada@example.org", language=visitor.code)
    visitor.open("/manage")
    visitor.write("Your e-mail address", "ada@example.org")
    visitor.press("Send me the link")
    visitor.sees("Check your mail")
    here.run("run-due")
    letter = here.letters("ada@example.org")[0]
    assert letter.message["Content-Language"] == visitor.code
    visitor.open(link_in(letter, "manage"))
    visitor.sees("My settings")


def saved(visitor: Visitor, text: str, **values: str) -> None:
    visitor.press("Save")
    visitor.sees("My settings")
    visitor.reads("Your change is saved.")
    visitor.reads(text, **values)


def test_a_person_changes_what_comes_pauses_leaves_and_takes_that_back(here: Installation, visitor: Visitor) -> None:
    """D-132, D-131"""
    here.run("topic", "add", "policy")
    settings(here, visitor)
    visitor.follow("Change", "How often")
    visitor.sees("How often do you want mail?")
    visitor.choose("Every month")
    saved(visitor, "Every month")
    visitor.follow("Change", "Topics")
    visitor.sees("What do you want to hear about?")
    visitor.choose("Policy")
    saved(visitor, "Policy")
    visitor.follow("Change", "Pause")
    visitor.sees("Pause the mails")
    day = date(datetime.now(UTC).year + 1, 1, 1)
    visitor.write_new_year("First day on which you want mail again", day)
    saved(visitor, "Mail comes again on %(date)s", date=day_in(day, visitor.code))
    visitor.follow("Unsubscribe")
    visitor.sees("Leave this list?")
    visitor.press("Unsubscribe")
    visitor.sees("You have left the list")
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}
    visitor.choose("The mails came too often")
    visitor.press("Send the answer")
    visitor.reads("Thank you for telling us.")
    assert here.json("subscriber", "show", "ada@example.org")["left_because"] == "too-often"
    visitor.press("It was a mistake: subscribe me again")
    visitor.sees("You are subscribed")
    now = here.json("subscriber", "show", "ada@example.org")
    assert (now["state"], now["frequency"], now["topics"]) == ("confirmed", "monthly", ["policy"])
    assert now["paused_until"].startswith(day.isoformat())


def test_a_person_moves_to_another_address_and_the_old_one_takes_it_back(here: Installation, visitor: Visitor) -> None:
    """D-132"""
    settings(here, visitor)
    visitor.follow("Change", "Address")
    visitor.sees("Change my address")
    visitor.write("Your new e-mail address", "new@example.org")
    visitor.press("Send the letter")
    visitor.sees("Check the mailbox of the new address")
    visitor.follow("Back to my settings")
    visitor.sees("My settings")
    visitor.press("I am done")
    visitor.sees("You are done")
    here.run("run-due")
    visitor.open(link_in(here.letters("new@example.org")[0], "confirm"))
    visitor.press("Confirm my subscription")
    visitor.sees("You are subscribed")
    here.run("run-due")
    visitor.open(link_in(here.letters("ada@example.org")[-1], "restore"))
    visitor.sees("Change the address back")
    visitor.press("Change it back")
    visitor.sees("You are subscribed")
    assert here.json("subscriber", "show", "ada@example.org")["state"] == "confirmed"
    assert here.json("subscriber", "show", "new@example.org")["state"] == "ended"


def test_a_person_has_everything_erased(here: Installation, visitor: Visitor) -> None:
    """D-132"""
    settings(here, visitor)
    visitor.follow("Erase my data")
    visitor.sees("Erase my data")
    visitor.choose("And never write to me again")
    visitor.press("Erase everything")
    visitor.sees("Your data is erased")
    assert "is not on the list" in here.error("subscriber", "show", "ada@example.org")


def test_who_never_asked_stops_the_letters_and_lets_them_come_again(here: Installation, visitor: Visitor) -> None:
    here.sign_up("ada@example.org", language=visitor.code)
    here.run("run-due")
    visitor.open(link_in(here.letters("ada@example.org")[0], "not-me"))
    visitor.sees("It was not me")
    visitor.press("It was not me: send no more letters")
    visitor.sees("You will get no more of these letters")
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}
    visitor.press("Allow letters again")
    visitor.sees("Letters are allowed again")
    visitor.follow("Subscribe")
    visitor.sees("%(list)s, by e-mail", list="Frontier Technologies")
    kinds = [event["kind"] for event in here.json("subscriber", "show", "ada@example.org")["consent"]]
    assert kinds == ["asked", "not-me", "not-me-undone"]


def test_what_is_wrong_is_said_first_and_leads_to_its_field(visitor: Visitor) -> None:
    """The summary has the focus at once, without a script; what was typed is still there."""
    visitor.open("/")
    visitor.write("Your e-mail address", "ada at example")
    visitor.press("Subscribe")
    fault = "This is not an address that mail can be sent to. It should look like name@example.org."
    expect(visitor.page.get_by_role("alert")).to_be_focused()
    visitor.follow(fault)
    field = visitor.page.get_by_label(visitor.said("Your e-mail address"), exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_value("ada at example")
    expect(field).to_have_accessible_description(visitor.said(fault))
    field.fill("ada@example.org")
    visitor.press("Subscribe")
    visitor.sees("Check your mail")


def test_a_language_that_is_chosen_is_kept_with_the_subscription(here: Installation, visitor: Visitor) -> None:
    """D-193: the browser's language comes first; the person's choice wins, on pages and in letters."""
    visitor.open("/archive")
    visitor.follow("Español")
    visitor.code = "es"
    visitor.sees("Past digests")
    visitor.follow("Frontier Technologies")
    visitor.sees("%(list)s, by e-mail", list="Frontier Technologies")
    visitor.write("Your e-mail address", "ada@example.org")
    visitor.press("Subscribe")
    visitor.sees("Check your mail")
    assert here.json("subscriber", "show", "ada@example.org")["language"] == "es"
    here.run("run-due")
    visitor.open(link_in(here.letters("ada@example.org")[0], "confirm"))
    visitor.sees("Confirm your subscription")


def test_the_skip_link_leads_past_the_navigation(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name=visitor.said("Skip to the content"))).to_be_focused()
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_label(visitor.said("Your e-mail address"), exact=True)).to_be_focused()
