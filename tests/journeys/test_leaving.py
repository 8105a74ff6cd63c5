"""Everybody can leave with one click, from any mail, for ever."""

import re

import pytest
import time_machine

from ..installation import BASE_URL, Installation, leave_link, link_in

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


def left(here: Installation) -> str:
    """Somebody who has just left; the page that stands before them."""
    link = digest_to(here, "ada@example.org")
    return here.site.post(link).text


def follow_up(page: str) -> str:
    found = re.search(r'action="(/goodbye/[^"]+)"', page)
    assert found
    return found[1]


def kinds(here: Installation) -> list[str]:
    return [event["kind"] for event in here.json("subscriber", "show", "ada@example.org")["consent"]]


def test_leaving_by_mistake_is_undone_on_the_same_page(here: Installation) -> None:
    after = follow_up(left(here))
    assert here.site.get(after).status_code == 200
    assert here.json("stats")["ended"] == 1, "opening the page changes nothing"
    assert "You are subscribed" in here.site.post(after, data={"undo": "yes"}).text
    assert here.counts() == {"pending": 0, "confirmed": 1, "ended": 0}
    assert kinds(here) == ["asked", "confirmed", "unsubscribed", "resumed"]
    assert here.site.post(after, data={"undo": "yes"}).status_code == 410, "once"
    assert kinds(here)[-1] == "resumed"


def test_it_can_be_undone_for_an_hour_and_only_that_departure(here: Installation) -> None:
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        link = digest_to(here, "ada@example.org")
        first = follow_up(here.site.post(link).text)
        here.site.post(first, data={"undo": "yes"})
        clock.move_to("2026-03-01T12:10:00Z")
        second = follow_up(here.site.post(link).text)
        assert here.site.post(first, data={"undo": "yes"}).status_code == 410
        clock.move_to("2026-03-01T13:11:00Z")
        assert here.site.post(second, data={"undo": "yes"}).status_code == 410
        assert "/goodbye/" not in here.site.post(link).text
    assert here.json("stats")["ended"] == 1


def test_who_said_not_me_is_not_asked_whether_it_was_a_mistake_to_leave(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    not_me = link_in(here.letters("ada@example.org")[0], "not-me")
    here.confirm("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    here.site.post(not_me)
    page = here.site.post(leave_link(here.letters("ada@example.org")[-1])).text
    assert "You have left the list" in page
    assert "/goodbye/" not in page


def test_a_reason_is_asked_for_afterwards_and_need_not_be_given(here: Installation) -> None:
    """D-131"""
    after = follow_up(left(here))
    assert "There is a problem" in here.site.post(after, data={"reason": "none of yours"}).text
    told = here.site.post(after, data={"reason": "too-often"})
    assert (told.status_code, "Thank you" in told.text) == (200, True)
    assert here.json("subscriber", "show", "ada@example.org")["left_because"] == "too-often"
    assert here.json("stats")["left_because"]["too-often"] == 1
    here.site.post(after, data={"undo": "yes"})
    assert here.json("stats")["left_because"]["too-often"] == 0


def test_nobody_is_written_to_for_leaving_unless_the_operator_wants_it(here: Installation) -> None:
    link = digest_to(here, "ada@example.org")
    here.mail_server.mails.clear()
    here.site.post(link)
    here.run("run-due")
    assert here.mail_server.mails == []
    here.site.post(follow_up(here.site.post(link).text), data={"undo": "yes"})
    here.configure(GOODBYE_LETTER="true")
    for _ in range(2):
        here.site.post(link)
    here.run("run-due")
    assert [mail.subject for mail in here.mail_server.mails] == ["You have left Frontier Technologies"]


def test_the_digest_leads_to_ones_settings_by_no_token(here: Installation) -> None:
    """D-31: the letter lies in mailboxes for ever."""
    digest_to(here, "ada@example.org")
    for part in ("plain", "html"):
        text = here.letters("ada@example.org")[-1].part(part)
        assert f"{BASE_URL}/manage?lang=en" in text
        assert "/manage/" not in text
