"""How many letters strangers can cause: limits by address, client, network, domain and for all (D-119 to D-121)."""

import logging
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from ..installation import Installation
from ..strangers import Stranger, letters_to, open_to_strangers, standing_clock, wants_proof

MANY = {"LIMIT_CLIENT": "900/1h", "LIMIT_NETWORK": "900/1h", "LIMIT_DOMAIN": "900/1h", "ATTACK_RATIO": 0}


def test_an_address_gets_few_letters_whoever_asks(here: Installation) -> None:
    """D-119: 1 in 10 minutes, 3 in a day, 5 in 30 days; D-115: the answer tells nothing of it."""
    open_to_strangers(here)
    letters, answers = [], set()
    with standing_clock() as clock:
        for minutes in (0, 9, 1, 10, 10, 24 * 60, 10, 10, 30 * 24 * 60 - 1491, 2):
            clock.shift(timedelta(minutes=minutes))
            answer = Stranger(here, f"198.51.{len(letters)}.1").post("ada@example.org")
            answers.add((answer.status_code, answer.data))
            letters.append(letters_to(here, "ada@example.org"))
    assert letters == [1, 1, 2, 3, 3, 4, 5, 5, 5, 6]
    assert len(answers) == 1


def test_an_owner_who_answers_is_counted_anew(here: Installation) -> None:
    """A person who confirms, leaves and comes back within minutes gets each letter."""
    open_to_strangers(here)
    here.subscribed("ada@example.org")
    here.run("subscriber", "unsubscribe", "ada@example.org")
    Stranger(here).post("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")
    Stranger(here).post("ada@example.org")
    here.run("run-due")
    assert "already" in here.letters("ada@example.org")[-1].subject


def test_spellings_of_one_mailbox_share_its_limit_and_stay_different_people(here: Installation) -> None:
    """D-125: mail goes to what was typed; only the counter knows that they are one."""
    open_to_strangers(here)
    for spelling in ("ada.l@gmail.com", "a.dal@gmail.com", "adal+news@googlemail.com"):
        assert Stranger(here).post(spelling).status_code == 200
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["ada.l@gmail.com"]
    Stranger(here).post("eva+a@example.org")
    Stranger(here).post("e.va@example.org")
    here.run("run-due")
    assert {mail.to for mail in here.mail_server.mails[1:]} == {"eva+a@example.org", "e.va@example.org"}


def test_a_busy_client_proves_that_it_is_no_robot_and_goes_on(here: Installation) -> None:
    """D-119: 5 a minute and 20 an hour are free; a university behind one address gets all its people in."""
    open_to_strangers(here, ATTACK_RATIO=0, LIMIT_DOMAIN="")
    campus, asked = Stranger(here, "203.0.113.9"), 0
    with standing_clock() as clock:
        for number in range(60):
            clock.shift(timedelta(seconds=30))
            answer = campus.post(f"student{number}@university.example")
            asked += wants_proof(answer)
            answer = campus.prove(answer) if wants_proof(answer) else answer
            assert answer.status_code == 200, answer.text
    assert asked == 40
    assert here.json("stats")["pending"] == 60


def test_more_than_five_in_a_minute_have_to_prove_it(here: Installation) -> None:
    open_to_strangers(here)
    with standing_clock() as clock:
        answers = [Stranger(here).post(f"a{number}@example.org") for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert "One more step" in answers[5].text
        assert here.json("stats")["pending"] == 5, "nothing of the sixth is stored"
        clock.shift(timedelta(seconds=66))
        assert Stranger(here).post("a6@example.org").status_code == 200


def test_a_very_busy_client_is_told_when_to_come_back(here: Installation) -> None:
    """Beyond the limit for those who prove it: an honest 429, with Retry-After, in plain words."""
    open_to_strangers(here, LIMIT_CLIENT="2/1h", LIMIT_FACTOR=2)
    with standing_clock() as clock:
        for number in range(4):
            assert Stranger(here).sign_up(f"a{number}@example.org").status_code == 200
        clock.shift(timedelta(minutes=20))
        refused = Stranger(here).post("a4@example.org")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) == pytest.approx(2400, abs=6)
        assert "Please try again in 41 minutes." in refused.text
        clock.shift(timedelta(seconds=int(refused.headers["Retry-After"])))
        assert Stranger(here).post("a4@example.org").status_code == 200


def test_links_to_settings_are_limited_by_client_and_network_and_a_university_is_not(here: Installation) -> None:
    """D-119, D-132: counted apart from sign-ups, with an honest 429 for everybody alike."""
    open_to_strangers(here, LIMIT_CLIENT="5/1h", LIMIT_NETWORK="8/1h", LIMIT_FACTOR=2)
    here.subscribed("ada@example.org")
    with standing_clock() as clock:
        asked = [ask_for_link(here, "203.0.113.9", f"student{number}@university.example") for number in range(10)]
        assert {answer.status_code for answer in asked} == {200}
        refused = [ask_for_link(here, "203.0.113.9", f"{name}@example.org") for name in ("ada", "nobody")]
        assert [answer.status_code for answer in refused] == [429] * 2
        assert refused[0].data == refused[1].data
        assert "Too many requests" in refused[0].text
        assert int(refused[0].headers["Retry-After"]) == pytest.approx(3600, abs=6)
        near = [ask_for_link(here, f"203.0.113.{number}", "ada@example.org").status_code for number in range(20, 27)]
        assert near == [200] * 6 + [429]
        assert Stranger(here, "203.0.113.9").post("eva@example.org").status_code == 200, "sign-ups are another matter"
        clock.shift(timedelta(seconds=int(refused[0].headers["Retry-After"]) + 60))
        assert ask_for_link(here, "203.0.113.9", "ada@example.org").status_code == 200


def ask_for_link(here: Installation, ip: str, email: str) -> TestResponse:
    return here.site.post("/manage", data={"email": email}, headers={"X-Forwarded-For": ip})


@pytest.mark.parametrize(
    ("first", "near", "far"),
    [
        ("192.0.2.1", "192.0.2.200", "192.0.3.1"),
        ("2001:db8:0:1::1", "2001:db8:0:ff::9", "2001:db8:0:100::1"),
        ("::ffff:192.0.2.1", "192.0.2.200", "192.0.3.1"),
    ],
)
def test_a_network_has_a_limit_of_its_own(here: Installation, first: str, near: str, far: str) -> None:
    """D-119: IPv4 by /24, IPv6 by /56; D-120: IPv4 in IPv6's clothes is IPv4."""
    open_to_strangers(here, LIMIT_NETWORK="1/1h")
    assert Stranger(here, first).post("a@example.org").status_code == 200
    assert wants_proof(Stranger(here, near).post("b@example.org"))
    assert Stranger(here, far).post("c@example.org").status_code == 200


def test_a_domain_has_a_limit_and_a_large_provider_a_larger_one(here: Installation) -> None:
    open_to_strangers(here, LIMIT_DOMAIN="1/1h", DNS_RESOLVER="off")
    people = (Stranger(here, f"198.51.{number}.1") for number in range(99))
    assert next(people).post("a@small.example").status_code == 200
    assert wants_proof(next(people).post("b@small.example"))
    for name in "abcdefghij":
        assert next(people).post(f"{name}{name}@gmail.com").status_code == 200
    assert wants_proof(next(people).post("kk@gmail.com"))


def test_an_attack_is_met_told_and_ends_by_itself(here: Installation, caplog: pytest.LogCaptureFixture) -> None:
    """D-121: over the limit for all, everybody has to prove it; healthz, stats and the log say so."""
    open_to_strangers(here, **{**MANY, "LIMIT_ALL": "20/1h", "LIMIT_CLIENT": "9/1h", "LIMIT_FACTOR": 900})
    with standing_clock() as clock, caplog.at_level(logging.WARNING):
        for number in range(20):
            assert Stranger(here, f"198.51.{number}.1").post(f"a{number}@example.org").status_code == 200
        assert wants_proof(Stranger(here, "203.0.113.1").post("person@example.org"))
        assert Stranger(here, "203.0.113.1").sign_up("person@example.org").status_code == 200
        assert here.site.get("/healthz").get_json()["attack"] == {"asked": 21, "confirmed": 0}
        assert here.json("stats")["attack"]["asked"] == 21
        assert "under attack" in here.run("stats").stdout
        clock.shift(timedelta(minutes=61))
        assert Stranger(here, "203.0.113.2").post("next@example.org").status_code == 200
        assert "attack" not in here.site.get("/healthz").get_json()
    told = [record.getMessage().split(":")[0] for record in caplog.records if "sign-ups look" in record.getMessage()]
    assert told == ["sign-ups look like an attack", "sign-ups look normal again"]


def test_letters_that_nobody_answers_are_an_attack(here: Installation) -> None:
    """D-121: fewer than 10 % of more than 50 confirmed; it is over when people confirm."""
    open_to_strangers(here, LIMIT_DOMAIN="900/1h")
    for number in range(51):
        assert Stranger(here, f"198.51.{number}.1").post(f"a{number}@example.org").status_code == 200
    assert wants_proof(Stranger(here, "203.0.113.1").post("b@example.org"))
    here.run("run-due")
    for number in range(6):
        here.confirm(f"a{number}@example.org")
    assert Stranger(here, "203.0.113.1").post("b@example.org").status_code == 200


def test_limits_are_lower_in_an_attack(here: Installation) -> None:
    open_to_strangers(here, **{**MANY, "LIMIT_ALL": "5/1h", "LIMIT_CLIENT": "5/1h", "LIMIT_FACTOR": 10})
    for number in range(5):
        Stranger(here, f"198.51.{number}.1").post(f"a{number}@example.org")
    one = Stranger(here, "203.0.113.1")
    answers = [one.sign_up(f"b{number}@example.org").status_code for number in range(11)]
    assert answers == [200] * 10 + [429], "5 × 10 ÷ 5"


def test_old_counts_are_forgotten(here: Installation) -> None:
    """Nothing is kept longer than a limit looks at it."""
    open_to_strangers(here)
    with standing_clock() as clock:
        Stranger(here).post("ada@example.org")
        clock.shift(timedelta(hours=2))
        assert "limits: forgot old counts" in here.run("run-due").stdout
        clock.shift(timedelta(days=29))
        assert "limits" not in here.run("run-due").stdout
        clock.shift(timedelta(days=1))
        assert "limits: forgot old counts" in here.run("run-due").stdout


def test_on_this_machine_alone_nobody_is_limited_except_by_address(here: Installation) -> None:
    """Where links lead to the visitor's own machine, the visitor is the operator."""
    assert {here.site.post("/subscribe", data={"email": f"a{n}@example.org"}).status_code for n in range(6)} == {200}


def test_a_proxy_that_is_not_trusted_hides_everybody_behind_one_address(here: Installation) -> None:
    here.configure(BASE_URL="https://lists.example.org")
    answers = [here.site.post("/subscribe", data={"email": f"b{n}@example.org"}).status_code for n in range(6)]
    assert answers == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("hops", "told", "counted"),
    [
        (0, "198.51.100.7", "127.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.66, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.66, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (2, "198.51.100.7", "127.0.0.1"),
        (1, "[2001:db8::7]:4711", "2001:db8::7"),
        (1, "2001:DB8:0:0::7", "2001:db8::7"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "unknown", None),
        (1, "'; DROP TABLE subscriber; --", None),
    ],
)
def test_exactly_the_trusted_proxies_are_believed(
    here: Installation, hops: int, told: str, counted: str | None
) -> None:
    """D-120: what a visitor writes into the header is not believed; evidence holds the address in one form."""
    here.configure(TRUSTED_PROXIES=hops)
    assert Stranger(here, told).post("ada@example.org").status_code == 200
    assert here.json("subscriber", "show", "ada@example.org")["consent"][0]["ip"] == counted
