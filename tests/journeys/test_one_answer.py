"""Nobody can tell by the answer what is known of an address, nor by the time it takes (D-115)."""

import random
import statistics
import time
from collections import defaultdict

import pytest

from ..installation import Installation

ROUNDS = 100


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_answer_and_its_time_tell_nothing(here: Installation) -> None:
    """Bodies are equal; medians of 100 answers a class differ by less than 5 ms."""
    people = {state: [f"{state}{n}@example.org" for n in range(ROUNDS)] for state in ("confirmed", "left", "pending")}
    rows = "".join(f"{email}\n" for state in ("confirmed", "left") for email in people[state])
    here.run("subscriber", "import", here.write("people.csv", f"email\n{rows}"), "--basis", "a test")
    for email in people["left"]:
        here.run("subscriber", "unsubscribe", email)
    for email in people["pending"]:
        here.run("subscriber", "add", email)
    people |= {"new": [f"new{n}@example.org" for n in range(ROUNDS)], "limited": ["limited@example.org"] * ROUNDS}
    here.sign_up("limited@example.org")
    times, bodies = defaultdict(list), set()
    for number in range(ROUNDS):
        for state in random.sample(list(people), len(people)):  # taken in turn, so that a slow moment is everybody's
            begun = time.perf_counter()
            bodies.add(here.sign_up(people[state][number]))
            times[state].append(1000 * (time.perf_counter() - begun))
    assert len(bodies) == 1
    medians = {state: statistics.median(each) for state, each in times.items()}
    least, most = min(medians.values()), max(medians.values())
    assert most - least < max(5, least / 2), medians  # on a busy machine everything takes longer, and differs by more
