"""Digests that compose and send themselves: on time, once, late, after a change of frequency (D-180 … D-182)."""

import html
import re
from collections.abc import Iterator

import pytest
import time_machine

from ..installation import Installation
from .test_editions import news

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def clock(here: Installation) -> Iterator[time_machine.Traveller]:
    """A Thursday in Paris, before the clocks go forward on Sunday."""
    here.configure(TIMEZONE="Europe/Paris")
    with time_machine.travel("2026-03-26T12:00:00Z") as travel:
        yield travel


def people(here: Installation, *rows: str) -> None:
    path = here.write("people.csv", "email,frequency\n" + "".join(f"{row}\n" for row in rows))
    here.run("subscriber", "import", path, "--basis", "a test")


def add(here: Installation, *keys: str) -> None:
    for key in keys:
        here.run("announcement", "add", here.write(f"{key}.md", news(key)))


def got(here: Installation, email: str) -> list[str]:
    """The announcements of each letter."""
    texts = [letter.part("plain") for letter in here.letters(email) if "News of" in letter.part("plain")]
    return [" ".join(sorted(line[8:-1] for line in text.splitlines() if line.startswith("News of"))) for text in texts]


def states(here: Installation) -> list[str]:
    return [digest["state"] for digest in here.json("digest", "list")]


def test_a_weekly_digest_goes_out_once_at_its_time(here: Installation, clock: time_machine.Traveller) -> None:
    """D-180, D-181"""
    people(here, "ada@example.org,weekly", "ben@example.org,monthly")
    add(here, "early")
    said = here.run("digest", "schedule", "weekly", "--at", "Sat 08:30").stdout
    assert "next Sat 2026-03-28 08:30 CET" in said
    clock.move_to("2026-03-28T07:29:59Z")
    assert here.run("run-due").stdout.strip() == "nothing is due"
    add(here, "late")
    clock.move_to("2026-03-28T07:30:00Z")
    add(here, "next")
    here.run("run-due")
    here.run("run-due")
    assert got(here, "ada@example.org") == ["early late"]
    clock.move_to("2026-04-04T06:30:00Z")  # summer time
    here.run("run-due")
    assert got(here, "ada@example.org") == ["early late", "next"]
    clock.move_to("2026-04-11T06:30:00Z")
    assert "weekly digest: nothing to send" in here.run("run-due").stdout
    assert here.run("run-due").stdout.strip() == "nothing is due"
    assert got(here, "ben@example.org") == []
    assert states(here) == ["sent", "sent"]


def test_an_immediate_digest_goes_out_with_the_next_run(here: Installation, clock: time_machine.Traveller) -> None:
    people(here, "ada@example.org,immediate")
    add(here, "before")
    assert "as soon as there is something" in here.run("digest", "schedule", "immediate").stdout
    here.run("run-due")
    clock.shift(60)
    add(here, "first", "second")
    clock.shift(1)
    here.run("run-due")
    here.run("run-due")
    assert got(here, "ada@example.org") == ["first second"]


def test_a_run_that_is_a_day_late_waits_for_a_person(here: Installation, clock: time_machine.Traveller) -> None:
    people(here, "ada@example.org,weekly")
    here.run("digest", "schedule", "weekly", "--at", "Sat 08:30")
    add(here, "old")
    clock.move_to("2026-03-29T07:31:00Z")
    said = here.run("run-due").stdout
    assert "its time passed more than a day ago" in said
    assert "digest 1 waits for you; its time was 2026-03-28 08:30 CET: 'mailer digest send 1' sends it" in said
    assert "waits for you" in here.run("digest", "list").stdout
    assert "waits for you since Sat 2026-03-28 08:30 CET" in here.run("digest", "schedule").stdout
    assert here.json("digest", "schedule")["waiting"][0]["digest"] == 1
    here.run("run-due")
    assert (got(here, "ada@example.org"), states(here)) == ([], ["draft"])
    here.run("digest", "send", 1, "--yes")
    assert got(here, "ada@example.org") == ["old"]


def test_a_time_that_was_set_by_hand_grows_stale_too(here: Installation, clock: time_machine.Traveller) -> None:
    people(here, "ada@example.org,weekly")
    digest = here.draft(news("one"))
    here.run("digest", "send", digest, "--at", "2026-03-29T02:30", "--yes")  # which the clocks leave out
    assert "Sun 2026-03-29 03:30 CEST" in here.run("digest", "schedule").stdout
    clock.move_to("2026-03-30T01:31:00Z")
    assert "digest 1 waits for you" in here.run("run-due").stdout
    here.run("digest", "send", digest, "--at", "2026-03-30T12:00", "--yes")
    clock.move_to("2026-03-30T10:00:01Z")
    here.run("run-due")
    assert got(here, "ada@example.org") == ["one"]


def test_a_change_of_frequency_loses_nothing_and_repeats_nothing(
    here: Installation, clock: time_machine.Traveller
) -> None:
    """D-182"""
    people(here, "ada@example.org,monthly", "ben@example.org,weekly")
    here.run("digest", "schedule", "weekly", "--at", "Sat 08:30")
    here.run("digest", "schedule", "monthly", "--at", "1 08:30")
    add(here, "march")
    clock.move_to("2026-03-28T08:00:00Z")
    here.run("run-due")
    change(here, "ada@example.org", "weekly")  # the month's digest would have brought her the week that is over
    change(here, "ben@example.org", "monthly")
    add(here, "week")
    clock.move_to("2026-04-01T08:00:00Z")
    here.run("run-due")
    assert got(here, "ben@example.org") == ["march", "week"], "of the month only what he had not had"
    clock.move_to("2026-04-04T08:00:00Z")
    here.run("run-due")
    assert got(here, "ada@example.org") == ["march week"]
    assert "News of march" not in here.site.get(newest_page(here)).text, "which the week's digest is not about"


def test_what_is_owed_comes_also_when_there_is_no_news(here: Installation, clock: time_machine.Traveller) -> None:
    """D-182"""
    people(here, "ada@example.org,monthly", "ben@example.org,weekly")
    here.run("digest", "schedule", "weekly", "--at", "Sat 08:30")
    here.run("digest", "schedule", "monthly", "--at", "1 08:30")
    add(here, "march")
    clock.move_to("2026-03-28T08:00:00Z")
    here.run("run-due")
    change(here, "ada@example.org", "weekly")
    people(here, "new@example.org,weekly")
    clock.move_to("2026-04-04T08:00:00Z")
    here.run("run-due")
    assert (got(here, "ada@example.org"), got(here, "new@example.org")) == (["march"], []), (
        "old news is for nobody else"
    )
    clock.move_to("2026-04-11T08:00:00Z")
    here.run("run-due")
    assert (got(here, "ada@example.org"), got(here, "ben@example.org")) == (["march"], ["march"])


@sqlite_only
def test_what_is_scheduled_is_told_as_json_and_nothing_else(here: Installation, clock: time_machine.Traveller) -> None:
    people(here, "ada@example.org,weekly")
    weekly = here.json("digest", "schedule", "weekly", "--at", "Sat 08:30")
    assert weekly == {"frequency": "weekly", "at": "Sat 08:30", "next": "2026-03-28 07:30:00+00:00"}
    immediate = here.json("digest", "schedule", "immediate")
    assert immediate == {"frequency": "immediate", "at": "", "next": None}
    digest = here.draft(news("one"))
    dated = here.json("digest", "send", digest, "--at", "2026-03-29T02:30", "--yes")  # which the clocks leave out
    assert dated == {**here.status(digest), "at": "2026-03-29 01:30:00+00:00"}
    assert dated["state"] == "approved"
    standing = here.json("digest", "schedule")
    assert standing["schedules"] == [immediate, weekly]
    assert standing["digests"] == [{"digest": digest, "at": dated["at"]}]
    assert here.json("digest", "schedule", "weekly", "--off") == {"frequency": "weekly", "at": None, "next": None}
    assert here.json("digest", "schedule")["schedules"] == [immediate]


def change(here: Installation, email: str, frequency: str) -> None:
    link = here.manage_link(email)
    assert here.site.post(link, data={"frequency": frequency}).status_code == 303


def newest_page(here: Installation) -> str:
    found = re.search(r'href="(/archive/\d{4}-[^"#]+)', here.site.get("/archive").text)
    assert found
    return html.unescape(found[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("weekly",), "say when a weekly digest goes out: --at 'Sat 08:30'"),
        (("weekly", "--at", "1 08:30"), "'1 08:30' is no time of a weekly digest: write it like 'Sat 08:30'"),
        (("monthly", "--at", "32 08:30"), "write it like '1 08:30'"),
        (("monthly", "--at", f"{'9' * 4500} 08:30"), "write it like '1 08:30'"),
        (("immediate", "--at", "Sat 08:30"), "leave --at out"),
        (("weekly", "--off"), "not scheduled"),
    ],
)
@sqlite_only
def test_what_is_no_schedule_is_said(here: Installation, arguments: tuple[str, ...], said: str) -> None:
    assert said in here.error("digest", "schedule", *arguments)
    assert "nothing is scheduled" in here.run("digest", "schedule").stdout


def test_a_schedule_is_changed_and_turned_off(here: Installation, clock: time_machine.Traveller) -> None:
    people(here, "ada@example.org,weekly")
    here.run("digest", "schedule", "weekly", "--at", "Sat 08:30")
    add(here, "one")
    here.run("digest", "schedule", "weekly", "--at", "Wed 08:30")
    assert here.run("run-due").stdout.strip() == "nothing is due", "a time that passed before the change is none"
    here.run("digest", "schedule", "weekly", "--off")
    clock.move_to("2026-04-02T08:00:00Z")
    assert here.run("run-due").stdout.strip() == "nothing is due"
    here.run("digest", "schedule", "weekly", "--at", "Fri 08:30")
    add(here, "two")
    clock.move_to("2026-04-03T08:00:00Z")
    here.run("run-due")
    assert got(here, "ada@example.org") == ["two"], "the announcement of the time without a schedule is passed over"
