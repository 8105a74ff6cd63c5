"""The check finds each way in which an account can be wrong: a harness that can't fail would prove nothing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from .check import STATES, Facts, problems
from .record import Event, Record

ADA, BEN, CHEN = "ada@example.org", "ben@example.org", "chen@example.org"
PEOPLE = (ADA, BEN, CHEN)


@dataclass
class Story:
    """An experiment in few words: what the server did, what the ledger says."""

    events: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PEOPLE, "accepted"))
    connection: int = 1

    def event(self, kind: Event, to: str, **details: Any) -> None:
        self.events.append({"event": kind, "connection": self.connection, "to": to, **details})

    def begin(self, to: str) -> None:
        for kind in (Event.RCPT, Event.DATA, Event.BODY):
            self.event(kind, to)

    def store(self, to: str, **details: Any) -> None:
        usual = {
            "message_id": f"<{to}>",
            "header_to": to,
            "sha256": to,
            "offset": 0,
            "length": 1000,
            "ending": "--b--\r\n",
        }
        self.begin(to)
        self.event(Event.DOT, to)
        self.event(Event.STORED, to, **{**usual, **details})
        self.event(Event.REPLIED, to)

    def refuse(self, to: str, code: int) -> None:
        self.event(Event.RCPT, to)
        self.event(Event.REFUSED, to, code=code)

    def facts(self, **changes: Any) -> Facts:
        counts = Counter(self.states.values())
        tally = {state: counts[state] for state in STATES}
        open_ones = tally["queued"] + tally["sending"] + tally["deferred"]
        status = {"enlisted": len(PEOPLE), "state": "sending" if open_ones else "sent", **tally}
        report = [{"email": email, "state": state} for email, state in self.states.items()]
        return replace(Facts(PEOPLE, status, report, Record(self.events), sessions=1, blows=0), **changes)


def told() -> Story:
    """Everybody got one."""
    story = Story()
    for person in PEOPLE:
        story.store(person)
    return story


def found(facts: Facts) -> set[str]:
    return {problem.partition(":")[0] for problem in problems(facts)}


def test_a_right_account_has_no_problems() -> None:
    assert problems(told().facts()) == []


def test_a_right_account_after_blows_has_no_problems() -> None:
    story = Story(states={ADA: "bounced", BEN: "unknown", CHEN: "deferred"})
    story.refuse(ADA, 550)
    story.store(BEN)
    story.connection = 2
    story.refuse(CHEN, 450)
    assert problems(story.facts(blows=1)) == []


def lose(story: Story) -> None:
    story.events = [event for event in story.events if event["to"] != BEN]


def store_again(story: Story) -> None:
    story.store(BEN)


def store_for_another(story: Story) -> None:
    story.events[4]["header_to"] = CHEN


def share_an_id(story: Story) -> None:
    for event in story.events:
        event["message_id"] = "<the same>"


def cut(story: Story) -> None:
    story.events[4]["length"] = 500


def end_early(story: Story) -> None:
    story.events[4]["ending"] = "half a wo"


def forget_a_row(story: Story) -> None:
    del story.states[CHEN]


def stay_queued(story: Story) -> None:
    story.states[CHEN] = "queued"


def bounce_unasked(story: Story) -> None:
    lose(story)
    story.states[BEN] = "bounced"


def mistake_a_delay_for_a_bounce(story: Story) -> None:
    bounce_unasked(story)
    story.refuse(BEN, 450)


def deny_a_copy(story: Story) -> None:
    story.refuse(BEN, 550)
    story.states[BEN] = "bounced"


def misbehave(story: Story) -> None:
    story.event(Event.ODD, ADA, what="sent ahead")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lose, "lost"),
        (store_again, "doubled"),
        (store_for_another, "misdirected"),
        (share_an_id, "misdirected"),
        (cut, "cut_short"),
        (end_early, "cut_short"),
        (forget_a_row, "missing"),
        (forget_a_row, "unbalanced"),
        (stay_queued, "unfinished"),
        (bounce_unasked, "invented"),
        (mistake_a_delay_for_a_bounce, "invented"),
        (deny_a_copy, "denied"),
        (misbehave, "odd"),
    ],
)
def test_a_wrong_account_is_found(change: Callable[[Story], None], rule: str) -> None:
    story = told()
    change(story)
    assert rule in found(story.facts(blows=9))


def test_status_and_report_must_agree() -> None:
    facts = told().facts()
    assert "unbalanced" in found(replace(facts, status={**facts.status, "accepted": 2, "bounced": 1}))


def test_a_digest_with_nothing_left_is_sent() -> None:
    facts = told().facts()
    assert "unfinished" in found(replace(facts, status={**facts.status, "state": "sending"}))


def test_a_kill_explains_one_letter_in_doubt_for_each_session() -> None:
    story = told()
    story.states[CHEN] = "unknown"
    assert found(story.facts()) == {"too_many_in_doubt"}
    assert found(story.facts(blows=1)) == set()
    story.states[BEN] = "unknown"
    assert "too_many_in_doubt" in found(story.facts(blows=1))
    assert found(story.facts(blows=1, doubt=10)) == set()


def test_a_withheld_reply_explains_one_too() -> None:
    story = told()
    story.states[CHEN] = "unknown"
    story.event(Event.WITHHELD, CHEN)
    assert found(story.facts()) == set()


def test_only_the_last_letter_of_a_connection_can_be_in_doubt() -> None:
    story = told()
    story.states[BEN] = "unknown"
    assert found(story.facts(blows=1)) == {"doubted_without_reason"}


def test_nobody_is_in_doubt_whose_letter_was_never_asked_for() -> None:
    story = told()
    lose(story)
    story.states[BEN] = "unknown"
    assert found(story.facts(blows=1)) == {"doubted_without_reason"}
    story.events.insert(0, {"event": Event.DATA, "connection": 7, "to": BEN})
    assert found(story.facts(blows=1)) == set(), "killed between the 354 and the body"


def test_a_server_that_died_after_asking_for_a_letter_explains_that_it_was_put_off() -> None:
    """Its body had begun, and the server did not live to write that down."""
    story = told()
    lose(story)
    story.states[BEN] = "deferred"
    assert "invented" in found(story.facts(blows=1))
    story.events.append({"event": Event.DATA, "connection": 7, "to": BEN})
    assert "invented" not in found(story.facts(blows=1))


def test_who_was_queued_again_may_have_a_second_copy_of_the_same_bytes() -> None:
    story = told()
    story.connection = 2
    story.store(CHEN)
    assert found(story.facts(blows=1)) == {"doubled"}
    assert found(story.facts(blows=1, retried=Counter([CHEN]))) == set()
    assert found(story.facts(blows=1, resend=True)) == set()
    story.events[-2]["sha256"] = "other bytes"
    assert found(story.facts(blows=1, retried=Counter([CHEN]))) == {"unequal"}


def test_what_resends_by_itself_must_have_been_in_doubt() -> None:
    story = told()
    story.connection = 2
    story.store(ADA)
    story.event(Event.RCPT, ADA)
    story.connection = 3
    story.store(BEN)
    story.store(CHEN)
    assert "too_many_in_doubt" in found(story.facts(blows=1, resend=True))


def test_a_letter_that_broke_off_may_be_put_off() -> None:
    story = told()
    lose(story)
    story.connection = 2
    story.begin(BEN)
    story.states[BEN] = "deferred"
    assert found(story.facts(blows=1)) == set()
