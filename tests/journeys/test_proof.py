"""Robots are asked for proof and people are let by: honeypot, form time, proof of work, a wait (D-122, D-123)."""

import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..installation import Installation
from ..strangers import Stranger, challenge, hidden, letters_to, open_to_strangers, solve, standing_clock, wants_proof

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_robot_that_fills_in_everything_is_sent_away_happy(here: Installation) -> None:
    """D-122: the same page as for people, byte for byte, and nothing is stored."""
    open_to_strangers(here)
    person = Stranger(here).post("ada@example.org")
    robot = Stranger(here).post("robot@example.org", website="http://spam.example")
    assert (robot.status_code, robot.data) == (person.status_code, person.data)
    assert here.json("stats")["pending"] == 1


def test_the_trap_is_out_of_everybodys_way(here: Installation) -> None:
    form = here.site.get("/").text
    assert re.search(r'<div class="trap" aria-hidden="true">', form)
    assert re.search(r'<input id="website" name="website" type="text" tabindex="-1" autocomplete="off">', form)


def test_a_form_that_comes_back_at_once_asks_for_proof(here: Installation) -> None:
    """D-122: within 2 seconds it was no person."""
    open_to_strangers(here)
    with standing_clock() as clock:
        fields = Stranger(here).read_form(0)
        clock.shift(timedelta(seconds=1.9))
        asked = Stranger(here).post("ada@example.org", **fields)
        assert wants_proof(asked)
        clock.shift(timedelta(seconds=0.2))
        assert Stranger(here).post("ada@example.org", **fields).status_code == 200


def test_a_forged_time_is_no_better_than_haste(here: Installation) -> None:
    open_to_strangers(here)
    for forged in ("", "0", "17f.AAAA", Stranger(here).read_form()["shown"][:-1] + "\0"):
        assert wants_proof(Stranger(here).post("ada@example.org", shown=forged))


def test_a_form_that_was_open_for_a_day_is_offered_again_as_it_was_filled_in(here: Installation) -> None:
    """D-122, WCAG 2.2.1: nothing has to be typed twice."""
    open_to_strangers(here)
    old = Stranger(here).read_form(seconds=25 * 3600)
    again = Stranger(here).post("ada@example.org", frequency="monthly", **old)
    assert again.status_code == 400
    assert 'value="ada@example.org"' in again.text
    assert re.search(r'value="monthly" checked', again.text)
    assert "more than a day" in again.text
    assert Stranger(here).post("ada@example.org", frequency="monthly", **hidden(again)).status_code in (200, 429)


def test_forms_of_other_sites_are_suspect_only_when_there_is_much_to_do(here: Installation) -> None:
    open_to_strangers(here, LIMIT_ALL="4/1h")
    assert Stranger(here, "192.0.2.1").post_from_another_site("a@example.org").status_code == 200
    assert Stranger(here, "192.0.2.2").post_from_another_site("b@example.org").status_code == 200
    assert wants_proof(Stranger(here, "192.0.2.3").post_from_another_site("c@example.org"))
    assert Stranger(here, "192.0.2.4").post("d@example.org").status_code == 200


@pytest.fixture
def asking(here: Installation) -> Installation:
    """An installation that asks everybody."""
    open_to_strangers(here, LIMIT_CLIENT="1/1h", LIMIT_FACTOR=1000, LIMIT_DOMAIN="", LIMIT_NETWORK="", ATTACK_RATIO=0)
    Stranger(here).post("first@example.org")
    return here


def test_who_proves_it_gets_the_letter_with_all_they_chose(asking: Installation) -> None:
    for topic in ("policy", "data"):
        asking.run("topic", "add", topic)
    asked = Stranger(asking).post("ada@example.org", frequency="monthly", topics=["policy", "data"], language="fr")
    assert wants_proof(asked)
    assert Stranger(asking).prove(asked).status_code == 200
    found = asking.json("subscriber", "show", "ada@example.org")
    assert (found["frequency"], found["topics"], found["language"]) == ("monthly", ["policy", "data"], "fr")
    assert letters_to(asking, "ada@example.org") == 1


def test_a_proof_is_good_once(asking: Installation) -> None:
    """D-123: the library alone would take it again (X10 of the standards)."""
    with standing_clock() as clock:
        asked = Stranger(asking).post("ada@example.org")
        brought = {**hidden(asked), "altcha": solve(challenge(asked))}
        assert Stranger(asking).post("ada@example.org", **brought).status_code == 200
        clock.shift(timedelta(minutes=9))
        again = Stranger(asking).post("ada@example.org", **brought)
        assert wants_proof(again)
        assert "was used before" in again.text


def test_a_proof_is_good_for_its_address_only(asking: Installation) -> None:
    asked = Stranger(asking).post("ada@example.org")
    solved = solve(challenge(asked))
    assert wants_proof(Stranger(asking).post("eva@example.org", altcha=solved))
    assert Stranger(asking).post("ada@example.org", altcha=solved).status_code == 200


def test_a_proof_is_good_for_ten_minutes(asking: Installation) -> None:
    """D-123."""
    with standing_clock() as clock:
        solved = solve(challenge(Stranger(asking).post("ada@example.org")))
        clock.shift(timedelta(minutes=10, seconds=1))
        assert wants_proof(Stranger(asking).post("ada@example.org", altcha=solved))


def test_a_work_made_easier_is_no_proof(asking: Installation) -> None:
    easy = challenge(Stranger(asking).post("ada@example.org"))
    easy["parameters"]["keyPrefix"] = ""
    assert wants_proof(Stranger(asking).post("ada@example.org", altcha=solve(easy)))


@sqlite_only
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.sampled_from(["e30=", "bnVsbA==", "eyJjaGFsbGVuZ2UiOnt9LCJzb2x1dGlvbiI6e319", "W10="]))
def test_whatever_is_brought_as_a_proof_is_no_error(asking: Installation, brought: str) -> None:
    for name in ("altcha", "waiting"):
        assert wants_proof(Stranger(asking).post_from_another_site("ada@example.org", **{name: brought}))


def test_without_scripts_a_minute_of_patience_does(asking: Installation) -> None:
    """D-123: the way for who runs no scripts; a second try too early goes on waiting, it does not begin anew."""
    with standing_clock() as clock:
        asked = Stranger(asking).post("ada@example.org")
        assert "please wait 60 seconds" in asked.text.replace("61", "60")
        clock.shift(timedelta(seconds=40))
        early = Stranger(asking).post("ada@example.org", **hidden(asked))
        assert "please wait 21 seconds" in early.text
        assert hidden(early)["waiting"] == hidden(asked)["waiting"]
        clock.shift(timedelta(seconds=21))
        assert Stranger(asking).post("ada@example.org", **hidden(early)).status_code == 200
        clock.shift(timedelta(minutes=11))
        assert wants_proof(Stranger(asking).post("ada@example.org", **hidden(early))), "once"
    assert letters_to(asking, "ada@example.org") == 1


def test_waiting_has_a_lower_limit(asking: Installation) -> None:
    open_to_strangers(asking, LIMIT_WAITING="2/1h")
    with standing_clock() as clock:
        for name, status in (("a", 200), ("b", 200), ("c", 429)):
            asked = Stranger(asking).post(f"{name}@example.org")
            clock.shift(timedelta(minutes=2))
            answer = Stranger(asking).post(f"{name}@example.org", **hidden(asked))
            assert (answer.status_code, "Retry-After" in answer.headers) == (status, status == 429)


def test_a_wait_belongs_to_its_address_and_ends(asking: Installation) -> None:
    with standing_clock() as clock:
        waiting = hidden(Stranger(asking).post("ada@example.org"))["waiting"]
        clock.shift(timedelta(minutes=2))
        assert wants_proof(Stranger(asking).post("eva@example.org", waiting=waiting))
        clock.shift(timedelta(hours=2))
        assert wants_proof(Stranger(asking).post("ada@example.org", waiting=waiting))


def test_only_the_page_that_asks_has_scripts_and_only_ours(asking: Installation) -> None:
    """D-151: script-src and worker-src on that page alone, no third party, nothing inline."""
    asked = Stranger(asking).post("ada@example.org")
    policy = asked.headers["Content-Security-Policy"]
    assert "script-src 'self'; worker-src 'self'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in asking.site.get("/").headers["Content-Security-Policy"]
    assert re.findall(r'(?:src|href|action)="(?![/#])', asked.text) == []
    assert re.findall(r"<script[^>]*>(.)", asked.text) == ["<"]
    for path in ("altcha.min.js", "altcha.css", "pbkdf2.js", "LICENSE.txt"):
        assert asking.site.get(f"/static/altcha/{path}").status_code == 200


def test_the_api_asks_too_and_takes_the_proof(asking: Installation) -> None:
    """The same limits as the form; the challenge comes in the answer."""
    send = {"json": {"email": "ada@example.org"}, "headers": Stranger(asking).headers}
    asked = asking.site.post("/api/v1/subscriptions", **send)
    assert (asked.status_code, asked.headers["Retry-After"]) == (429, "1")
    send["json"] |= {"altcha": solve(asked.get_json()["challenge"])}
    assert asking.site.post("/api/v1/subscriptions", **send).status_code == 202
