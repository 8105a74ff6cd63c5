"""What people do on the pages, in a real browser: D-174."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

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
