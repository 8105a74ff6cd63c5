"""Every way to change something is guarded, or is on the written list with its reason (D-150)."""

from collections.abc import Iterator

import pytest
from flask import Flask

from mailer.web.guards import OPEN, comes_from_us, from_our_pages

from ..installation import Installation

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def changing(app: Flask) -> Iterator[str]:
    """The endpoints of all routes that take more than reading."""
    for rule in app.url_map.iter_rules():
        if (rule.methods or set()) & CHANGING:
            yield rule.endpoint


def test_every_route_that_changes_something_is_guarded_or_listed(here: Installation) -> None:
    open_ = {name for name in changing(here.app) if not hasattr(here.app.view_functions[name], "from_our_pages")}
    assert open_ == set(OPEN), "add @from_our_pages, or a line with the reason to guards.OPEN"
    assert all(len(reason) > 20 for reason in OPEN.values())


CASES = [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8000"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Origin": "null"}, True),
    ({"Origin": "http://127.0.0.1:8000"}, True),
    ({"Origin": "https://evil.test"}, False),
    ({"Origin": "https://127.0.0.1:8000.evil.test"}, False),
    ({"Origin": "https://evil.test/127.0.0.1:8000"}, False),
    ({"Origin": ""}, False),
]


@pytest.mark.parametrize(("headers", "ours"), CASES)
def test_what_the_browser_says_of_the_page_that_sent_a_form(
    here: Installation, headers: dict[str, str], *, ours: bool
) -> None:
    with here.app.test_request_context("/", method="POST", headers=headers):
        assert comes_from_us() == ours


def test_a_guarded_page_can_be_read_from_anywhere_and_sent_only_from_ours(here: Installation) -> None:
    @here.app.route("/guarded", methods=["GET", "POST"])
    @from_our_pages
    def guarded() -> str:
        return "done"

    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    assert here.site.get("/guarded", headers=elsewhere).status_code == 200
    assert here.site.post("/guarded", headers=elsewhere).status_code == 403
    assert here.site.post("/guarded", headers={"Sec-Fetch-Site": "same-origin"}).text == "done"


def test_open_doors_are_open_to_other_sites(here: Installation) -> None:
    """A form on another site may sign somebody up, and a mail provider may unsubscribe."""
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}
    assert here.site.post("/subscribe", data={"email": "ada@example.org"}, headers=elsewhere).status_code == 200
