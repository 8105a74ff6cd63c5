"""One answer for every state of an address (D-115): the same octets, for the same work, in the same time."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from mailer.web.visitors import open_doors

from ..installation import Installation
from ..statements import statements

COLUMNS = "email,state,ended_reason,ended_at,not_me_at,language,frequency,topics"
NOW = datetime.now(UTC)
# People of each class as a file tells of them.
IMPORTED = {
    "pending": "pending,,,,,,",
    "confirmed": "confirmed,,,,,,",
    "choosy": "confirmed,,,,fr,monthly,policy",
    "unsubscribed": "ended,unsubscribed,,,,,",
    "choosy-once": "ended,unsubscribed,,,fr,monthly,policy",
    "bounced": "ended,bounced,,,,,",
    "complained": "ended,complained,,,,,",
    "not-me": f"ended,unsubscribed,{NOW},{NOW},,,",
    "forgotten": f"ended,unsubscribed,{NOW - timedelta(days=100)},,,,",  # there is but a hash of the address
}
NEW = ("new", "new-too", "new-as-well")  # nobody knows them, and nothing but chance tells them apart
LIMITED = "limited"  # was written to a moment ago
NEVER = "never"  # asked never to be written to again
CLASSES = (*NEW, *IMPORTED, LIMITED)
ROUNDS = {"sqlite": 200, "postgresql": 60}  # of which each asks once for an address of each class
UNSEEN = 1.0  # milliseconds that nobody sees from afar


def address(name: str, number: int) -> str:
    return f"{name}{number}@example.org"


def people(here: Installation, count: int) -> None:
    """So many of each class. All kinds of letters have been written before: that is done once for all."""
    here.run("topic", "add", "policy", "--name", "en=Policy")
    rows = [f"{address(name, number)},{rest}" for name, rest in IMPORTED.items() for number in range(count)]
    here.run("subscriber", "import", here.write("people.csv", "\n".join([COLUMNS, *rows])), "--basis", "a test")
    here.run("run-due")
    for number in range(count):
        here.sign_up(address(LIMITED, number))


def sign_up(here: Installation, email: str) -> TestResponse:
    return here.site.post("/subscribe", data={"email": email})


def ask_for_a_link(here: Installation, email: str) -> TestResponse:
    return here.site.post("/manage", data={"email": email})


class Mover:
    """Somebody who is subscribed and asks to have the letters sent to another address."""

    def __init__(self, here: Installation) -> None:
        here.subscribed("mover@example.org")
        self.link = here.manage_link("mover@example.org")

    def __call__(self, here: Installation, email: str) -> TestResponse:
        return here.site.post(self.link, data={"email": email})


Door = Callable[[Installation, str], TestResponse]


@pytest.mark.parametrize("door", [lambda _: sign_up, lambda _: ask_for_a_link, Mover], ids=["form", "link", "move"])
def test_the_same_is_answered_and_done_for_every_address(
    here: Installation, door: Callable[[Installation], Door]
) -> None:
    """D-115: not a statement more, nor a row, nor another octet."""
    people(here, 2)
    for number in range(2):
        here.run("subscriber", "erase", address(NEVER, number), "--never-again")
    ask = door(here)
    for name in (*CLASSES, NEVER):
        ask(here, address(name, 0))  # what is made once in a process, or for a kind of letter
    done, answers = {}, {}
    with statements(here) as said:
        for name in (*CLASSES, NEVER):
            said.clear()
            answer = ask(here, address(name, 1))
            assert answer.status_code == 200
            done[name], answers[name] = list(said), (answer.data, sorted(answer.headers))
    assert "INSERT INTO delivery: 1 rows" in done["new"]
    for name in done:
        assert done[name] == done["new"], name
        assert answers[name] == answers["new"], name
    assert "COMMIT" in done["new"]


def test_no_letter_is_made_while_somebody_waits(here: Installation) -> None:
    """D-115: the first of its kind and language in a process would tell by its time which one it is."""
    people(here, 1)
    here.close()
    open_doors(here.app, lambda: 0)
    before = set(here.app.extensions["mailer.letters"])
    for language in ("en", "fr"):
        for name in (*CLASSES, NEVER):
            here.site.post("/subscribe", data={"email": address(name, 0), "language": language})
            ask_for_a_link(here, address(name, 0))
    assert set(here.app.extensions["mailer.letters"]) == before


def times_of(here: Installation, rounds: range) -> dict[str, list[float]]:
    """Milliseconds that each answer took. In each round the classes come in another order."""
    taken: dict[str, list[float]] = {name: [] for name in CLASSES}
    for number in rounds:
        for name in random.sample(CLASSES, len(CLASSES)):
            begun = time.perf_counter()
            sign_up(here, address(name, number))
            taken[name].append((time.perf_counter() - begun) * 1000)
    return taken


def rounds_beyond(taken: Mapping[str, Sequence[float]], name: str) -> tuple[int, int]:
    """In how many rounds the answer came sooner, and later, than those to all who are new."""
    sooner = later = 0
    for mine, *new in zip(taken[name], *(taken[each] for each in NEW), strict=True):
        sooner += mine < min(new) - UNSEEN
        later += mine > max(new) + UNSEEN
    return sooner, later


def test_no_answer_tells_by_its_time(here: Installation) -> None:
    """D-115: nobody who tries can tell the others from those who are new.

    How much times differ by chance is measured at the same moment, by three classes that are one. A fourth like them
    would be beyond all three on one side in a quarter of the rounds, however busy the machine, and in three of five not
    once in a million runs.
    """
    rounds = ROUNDS[str(here.settings["DATABASE_URL"]).partition(":")[0].partition("+")[0]]
    people(here, rounds)
    taken = times_of(here, range(rounds))
    beyond = {name: rounds_beyond(taken, name) for name in CLASSES if name not in NEW}
    assert not {name: both for name, both in beyond.items() if max(both) > rounds * 3 / 5}
