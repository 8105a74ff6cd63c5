"""Everybody can leave with one click, from any mail, for ever."""

import pytest
import time_machine

from ..installation import Installation, leave_link, link_in

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def digest_to(here: Installation, email: str) -> str:
    """Send a digest to one new subscriber; the link to leave by."""
    here.subscribed(email)
    here.run("digest", "send", here.draft(), "--yes")
    mail = here.letters(email)[-1]
    link = leave_link(mail)
    assert link == link_in(mail, "unsubscribe"), "header and footer carry the same address"
    return link


def test_the_page_shows_a_button_and_the_button_ends_it(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    assert "<button" in here.site.get(link).text
    assert here.json("stats")["confirmed"] == 1, "opening the page changes nothing"
    assert "You have left the list" in here.site.post(link).text
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}


@pytest.mark.parametrize(
    "request_",
    [
        {"data": ONE_CLICK},
        {"data": ONE_CLICK, "content_type": "multipart/form-data"},
        {"data": ONE_CLICK, "headers": {"Origin": "https://mail.example", "Referer": "https://mail.example/x"}},
        {"data": ONE_CLICK, "headers": {"User-Agent": ""}},
        {"data": b"", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"anything", "content_type": "text/plain"},
    ],
)
def test_one_click_works_however_the_provider_asks(here: Installation, request_: dict[str, object]) -> None:
    """RFC 8058: no cookie, no redirect, a plain 200."""
    link = digest_to(here, "ada@example.org")
    answer = here.site.post(link, **request_)  # type: ignore[arg-type]
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (200, False)
    assert here.json("stats")["ended"] == 1


def test_leaving_again_gives_the_same_page(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    first, second, shown = here.site.post(link), here.site.post(link), here.site.get(link)
    assert first.data == second.data
    assert "You are not subscribed" in shown.text
    events = here.json("subscriber", "show", "ada@example.org")["consent"]
    assert [event["kind"] for event in events].count("unsubscribed") == 1


def test_a_scanner_that_opens_every_link_ends_nothing(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    for method in ("GET", "HEAD", "OPTIONS"):
        assert here.site.open(link, method=method).status_code == 200
    assert here.json("stats")["confirmed"] == 1


def test_a_link_works_five_years_later_and_after_the_key_was_changed(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    here.configure(SECRET_KEY="n" * 40 + "," + str(here.settings["SECRET_KEY"]))
    with time_machine.travel("2031-11-23T12:00:00Z"):
        assert here.site.post(link).status_code == 200
        assert here.json("stats")["ended"] == 1


def test_a_forged_or_borrowed_link_leads_nowhere(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    token = link_in(here.letters("ada@example.org")[0], "confirm").split("/")[-1]
    for page in (f"/unsubscribe/{token}", "/unsubscribe/abc.1.forged", "/unsubscribe/%00", "/confirm/x"):
        assert here.site.get(page).status_code == 404
        assert here.site.post(page).status_code == 404
    assert here.json("stats")["pending"] == 1


def test_who_has_left_gets_no_further_digest(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    here.subscribed("benoit@example.org")
    here.site.post(link)
    here.mail_server.mails.clear()
    here.run("digest", "send", here.draft(), "--yes")
    assert [mail.to for mail in here.mail_server.mails] == ["benoit@example.org"]


def test_the_link_of_a_preview_is_a_real_page_and_changes_nothing(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("digest", "test", here.draft(), "--to", "boss@example.net")
    assert here.site.post(leave_link(here.letters("boss@example.net")[0])).status_code == 200
    assert here.json("stats")["confirmed"] == 1
