"""The circuit breaker: when a provider's refusals stop counting, and when the mail server's do."""

from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.breaker import Breaker
from mailer.delivery.outcomes import Outcome
from mailer.states import DeliveryState

REPLIES = {
    "accepted": Outcome(DeliveryState.ACCEPTED, "250 2.0.0 queued as 4Xyz"),
    "deferred": Outcome(DeliveryState.DEFERRED, "451 4.7.1 later"),
    "unknown": Outcome(DeliveryState.UNKNOWN, "no reply to the message: reset"),
    "dead": Outcome(DeliveryState.BOUNCED, "550 5.1.1 no such user"),
    "dead too": Outcome(DeliveryState.BOUNCED, "550 5.1.1 <somebody@example.org> unknown"),
    "disabled": Outcome(DeliveryState.BOUNCED, "550 5.2.1 disabled"),
    "dead, another code": Outcome(DeliveryState.BOUNCED, "554 5.1.1 no such user"),
    "policy": Outcome(DeliveryState.BLOCKED, "550 5.7.1 we do not want this"),
    "wordless": Outcome(DeliveryState.BLOCKED, "554 "),
    "wordy": Outcome(DeliveryState.BLOCKED, "554 go away, number 17"),
    "wordy too": Outcome(DeliveryState.BLOCKED, "554 stay away, number 18"),
}


def tripped_by(breaker: Breaker, names: list[str], provider: str = "example.org") -> dict[int, list[int]]:
    """Letters of one provider that meet these replies: {where the breaker trips: rows that are no verdict}."""
    found = {row: breaker.count(row, f"person{row}@{provider}", REPLIES[name]) for row, name in enumerate(names)}
    return {row: list(rows) for row, rows in found.items() if rows}


def repeated(pattern: str, times: int) -> list[str]:
    return list(islice(cycle(pattern.split(", ")), times))


@pytest.mark.parametrize(
    ("names", "trips_at"),
    [
        (["dead"] * 19, None),
        (["dead"] * 20, 19),
        (["policy"] * 20, 19),
        (["wordless"] * 20, 19),
        (["dead", "dead too"] * 10, 19),
        (["wordy", "wordy too"] * 10, 19),
        (["dead", "disabled"] * 19, None),
        (["dead", "dead, another code"] * 19, None),
        (["dead", "policy"] * 20, 38),
        (["accepted"] * 1000, None),
        (["deferred"] * 1000, None),
        (["unknown"] * 1000, None),
        (repeated("dead, accepted", 40), 38),
        (repeated("dead, deferred", 40), 38),
        (repeated("dead, accepted, accepted, accepted", 80), 76),
        (repeated("dead, accepted, accepted, accepted, accepted, accepted", 1200), None),
        (["dead"] * 10 + ["accepted"] * 100 + ["dead"] * 10, None),
        (["dead"] * 10 + ["accepted"] * 100 + ["dead"] * 20, None),
        (["dead"] * 10 + ["accepted"] * 100 + ["dead"] * 21, 130),
    ],
)
def test_a_provider_that_refuses_everybody_alike_is_in_trouble(names: list[str], trips_at: int | None) -> None:
    """Twenty times the same, and more than a fifth of its last hundred letters."""
    breaker = Breaker()
    assert list(tripped_by(breaker, names)) == ([] if trips_at is None else [trips_at])
    assert breaker.is_open("ada@example.org") == (trips_at is not None)


def test_the_refusals_that_tripped_it_were_no_verdicts_and_others_stand() -> None:
    names = ["policy", *["dead"] * 10, "accepted", "disabled", *["dead"] * 10]
    assert tripped_by(Breaker(), names) == {22: [*range(1, 11), *range(13, 22), 22]}


def test_a_refusal_that_the_window_has_forgotten_is_not_taken_back() -> None:
    names = ["dead"] * 5 + ["accepted"] * 100 + ["dead"] * 21
    assert tripped_by(Breaker(), names) == {125: list(range(105, 126))}


def test_another_provider_is_not_touched() -> None:
    breaker = Breaker()
    tripped_by(breaker, ["dead"] * 19, "elsewhere.example.org")
    tripped_by(breaker, ["dead"] * 20)
    assert breaker.is_open("ben@example.org")
    for other in ("ada@elsewhere.example.org", "ada@sub.example.org", "ada@example.com", "example.org@example.net"):
        assert not breaker.is_open(other)
    assert breaker.count(100, "ada@elsewhere.example.org", REPLIES["policy"]) == ()


def test_a_provider_is_known_whatever_the_case_of_its_name() -> None:
    breaker = Breaker()
    tripped_by(breaker, ["dead"] * 10, "Example.ORG")
    assert tripped_by(breaker, ["dead"] * 10)
    assert breaker.is_open("Ada@EXAMPLE.org")


def test_it_trips_once_and_what_comes_behind_is_no_verdict_either() -> None:
    breaker = Breaker()
    taken_back = tripped_by(breaker, ["dead"] * 200)
    assert len(taken_back[19]) == 20
    assert all(len(taken_back[number]) == 1 for number in range(20, 200))
    assert tripped_by(breaker, ["policy"] * 200) == {}


@given(st.lists(st.tuples(st.sampled_from(sorted(REPLIES)), st.sampled_from(["a.org", "b.org"])), max_size=150))
def test_no_row_is_taken_back_twice_nor_one_that_was_not_refused(letters: list[tuple[str, str]]) -> None:
    breaker, taken_back = Breaker(), list[int]()
    for row, (name, provider) in enumerate(letters):
        taken_back += breaker.count(row, f"x@{provider}", REPLIES[name])
    assert len(taken_back) == len(set(taken_back))
    states = {REPLIES[letters[row][0]].state for row in taken_back}
    assert states <= {DeliveryState.BOUNCED, DeliveryState.BLOCKED}


# The mail server itself.


def streak_of(names: list[str], providers: int = 50) -> Breaker:
    """Letters to many providers in turn."""
    breaker = Breaker()
    for row, name in enumerate(names):
        breaker.count(row, f"person@provider{row % providers}.example.org", REPLIES[name])
    return breaker


@pytest.mark.parametrize(
    ("names", "refuses_all"),
    [
        ([], False),
        (["policy"] * 19, False),
        (["policy"] * 20, True),
        (["dead"] * 20, True),
        (["policy"] * 19 + ["dead"], False),
        (["policy"] * 19 + ["dead"] + ["policy"] * 19, False),
        (["policy"] * 19 + ["dead"] + ["policy"] * 20, True),
        (["policy"] * 19 + ["accepted"] + ["policy"] * 19, False),
        (["policy"] * 19 + ["deferred"] + ["policy"] * 19, False),
        (["policy"] * 19 + ["accepted"] + ["policy"] * 20, True),
        (["wordy", "wordy too"] * 10, True),
        (["accepted"] * 100, False),
        (["deferred"] * 100, False),
    ],
)
def test_a_mail_server_that_refuses_whatever_it_gets_is_noticed(names: list[str], *, refuses_all: bool) -> None:
    """Twenty times the same in a row, whoever it was for."""
    assert streak_of(names).refuses_all is refuses_all


def test_its_refusals_can_be_taken_back() -> None:
    breaker = streak_of(["dead", "accepted"] + ["policy"] * 20)
    assert [row for row, _ in breaker.streak] == list(range(2, 22))


def test_one_provider_that_refuses_everybody_is_not_the_mail_server() -> None:
    breaker = Breaker()
    tripped_by(breaker, ["dead"] * 20)
    assert not breaker.refuses_all


def test_nor_are_the_letters_to_it_that_were_on_their_way_when_it_was_noticed() -> None:
    breaker = Breaker()
    tripped_by(breaker, ["dead"] * 60)
    assert not breaker.refuses_all


def test_a_letter_that_we_did_not_send_is_nobodys_refusal() -> None:
    breaker = Breaker()
    unsent = Outcome(
        DeliveryState.BLOCKED, "not sent: 5.6.7 the mail server takes no internationalised address (SMTPUTF8)"
    )
    assert [row for row in range(30) if breaker.count(row, "é@example.org", unsent)] == []
    assert not breaker.is_open("ada@example.org")
    assert not breaker.refuses_all
