"""A flood of sign-ups: 5,000 people's addresses, put in by robots from 200 clients (D-119 to D-123).

The robots are a bomber's: some know the form and wait as people do, some post blindly, some send headers that lie about
where they come from, some bring proofs that were used or made up. Among them come ordinary people.
"""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from ..installation import Installation
from ..strangers import Stranger, hidden, open_to_strangers, standing_clock, wants_proof

ADDRESSES, CLIENTS, PEOPLE = 5000, 200, 25
LIES: list[dict[str, str]] = [
    {},
    {"X-Real-IP": "203.0.113.1", "Forwarded": "for=203.0.113.1"},
    {
        "True-Client-IP": "203.0.113.1",
        "User-Agent": "Mozilla/5.0",
        "Accept-Language": "fr",
        "Origin": "https://evil.test",
    },
]


class Bomber:
    """Robots that stop at nothing but work."""

    def __init__(self, here: Installation, seed: int) -> None:
        self.here, self.chance = here, random.Random(seed)
        self.answers: Counter[int] = Counter()
        self.form: dict[str, str] = {}
        self.used: dict[str, str] = {}

    def strike(self, number: int) -> None:
        ip = f"{100 + number % CLIENTS}.{number % 7}.{number % CLIENTS}.9"
        told = ip if number % 3 else f"198.51.100.{number % 250}, {ip}"  # a lie before what our proxy adds
        headers = {"X-Forwarded-For": told, **self.chance.choice(LIES)}
        fields: dict[str, Any] = {"email": f"victim{number}@home{number % 900}.example", **self.habit(number)}
        answer = self.here.site.post("/subscribe", data=fields, headers=headers)
        self.answers[answer.status_code] += 1
        self.learn(answer)

    def habit(self, number: int) -> dict[str, str]:
        return [{}, self.form, {**self.form, "website": "http://x.example"}, {**self.form, **self.used}][number % 4]

    def learn(self, answer: TestResponse) -> None:
        """Take what a page offers, and try it for somebody else."""
        if wants_proof(answer) and not self.used:
            self.used = {"altcha": "e30=", "waiting": hidden(answer)["waiting"]}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_flood_sends_few_letters_and_people_get_theirs(here: Installation) -> None:
    """No more letters than the limit for all, and those of who worked for them; D-121: then it is over."""
    open_to_strangers(here, LIMIT_ALL="300/1h")
    robots = Bomber(here, seed=7)
    with standing_clock() as clock:
        robots.form = Stranger(here).read_form()
        for number in range(ADDRESSES):
            clock.shift(timedelta(milliseconds=500))
            robots.strike(number)
            if number % (ADDRESSES // PEOPLE) == 0:
                name = f"person{number}@example.org"
                person = Stranger(here, f"2001:db8:{number:x}::1")
                assert person.sign_up(name).status_code == 200, "a person is let through, if need be with a proof"
        assert "attack" in here.site.get("/healthz").get_json()
        clock.shift(timedelta(minutes=62))
        assert Stranger(here, "192.0.2.1").post("later@example.org").status_code == 200, "it ends by itself"
        here.run("run-due")
    received = [mail.to for mail in here.mail_server.mails]
    victims = [address for address in received if address.startswith("victim")]
    people = [address for address in received if address.startswith("person")]
    assert len(people) == PEOPLE
    assert len(victims) <= 300
    assert len(received) == len(set(received)), "nobody has two"
    assert robots.answers[429] > ADDRESSES / 2
    assert set(robots.answers) == {200, 429}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_victim_is_bombed_in_vain(here: Installation) -> None:
    """However many clients name one address, it has three letters in a day."""
    open_to_strangers(here, ATTACK_RATIO=0)
    with standing_clock() as clock:
        for number in range(200):
            clock.shift(timedelta(minutes=5))
            Stranger(here, f"{100 + number}.0.0.1").post_from_another_site(
                "vic.tim+x@gmail.com".replace("x", str(number))
            )
        here.run("run-due")
    assert len(here.mail_server.mails) == 3
