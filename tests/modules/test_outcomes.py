"""The whole table of what a mail server's replies mean: a phase and a reply in, a verdict out."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.outcomes import BACKOFF, STATES, Phase, Reply, Verdict, backoff, judge
from mailer.states import DeliveryState

PROCEED, DEFER, BOUNCE, BLOCK = Verdict.PROCEED, Verdict.DEFER, Verdict.BOUNCE, Verdict.BLOCK
BACK_OFF, STOP = Verdict.BACK_OFF, Verdict.STOP

TABLE = [
    # Opening a session: nobody's letter was tried.
    ("connect", "220 mail.example.org ESMTP", PROCEED),
    ("connect", "250 mail.example.org", PROCEED),
    ("connect", "421 4.3.2 shutting down", BACK_OFF),
    ("connect", "451 4.7.1 later", BACK_OFF),
    ("connect", "454 busy", BACK_OFF),
    ("connect", "554 5.7.1 you are on a list", STOP),
    ("connect", "521 no mail here", STOP),
    ("connect", "550 5.1.1 no", STOP),
    ("connect", "500 what?", STOP),
    ("starttls", "220 2.0.0 go ahead", PROCEED),
    ("starttls", "454 4.7.0 TLS not available", STOP),
    ("starttls", "502 5.5.1 not implemented", STOP),
    ("starttls", "421 4.3.2 closing", BACK_OFF),
    ("auth", "235 2.7.0 welcome", PROCEED),
    ("auth", "454 4.7.0 temporary failure", BACK_OFF),
    ("auth", "530 5.7.0 TLS first", STOP),
    ("auth", "534 5.7.9 too weak", STOP),
    ("auth", "535 5.7.8 wrong password", STOP),
    ("auth", "538 5.7.11 encryption required", STOP),
    # The sender: a refusal is of us, and bounces nobody.
    ("mail", "250 2.1.0 ok", PROCEED),
    ("mail", "450 4.7.1 slow down", DEFER),
    ("mail", "451 4.3.0 later", DEFER),
    ("mail", "452 4.3.1 disk full", DEFER),
    ("mail", "550 5.7.1 sender refused", STOP),
    ("mail", "550 5.1.8 bad sender", STOP),
    ("mail", "550 5.1.1 unknown", STOP),
    ("mail", "552 5.3.4 too big", STOP),
    ("mail", "554 5.7.515 not authenticated", STOP),
    ("mail", "501 5.5.4 syntax", BLOCK),
    ("mail", "555 5.5.4 unknown parameter", BLOCK),
    # The recipient.
    ("rcpt", "250 2.1.5 ok", PROCEED),
    ("rcpt", "251 2.1.5 will forward", PROCEED),
    ("rcpt", "252 2.0.0 cannot verify", PROCEED),
    ("rcpt", "450 4.2.0 greylisted", DEFER),
    ("rcpt", "451 4.7.1 try again", DEFER),
    ("rcpt", "452 4.2.2 mailbox full", DEFER),
    ("rcpt", "452 4.5.3 too many recipients", DEFER),
    ("rcpt", "450 5.1.1 no such user", DEFER),
    ("rcpt", "552 5.2.2 mailbox full", DEFER),
    ("rcpt", "552 mailbox full", DEFER),
    ("rcpt", "550 5.2.2 mailbox full", DEFER),
    ("rcpt", "554 5.2.3 too long for this mailbox", DEFER),
    ("rcpt", "550 5.1.1 no", BOUNCE),
    ("rcpt", "550 5.1.2 no such host", BOUNCE),
    ("rcpt", "553 5.1.3 bad syntax", BOUNCE),
    ("rcpt", "551 5.1.6 moved", BOUNCE),
    ("rcpt", "550 5.1.10 not found", BOUNCE),
    ("rcpt", "554 5.1.1 no", BOUNCE),
    ("rcpt", "556 5.1.10 null MX", BOUNCE),
    ("rcpt", "556 does not accept mail", BOUNCE),
    ("rcpt", "550 5.2.1 disabled", BOUNCE),
    ("rcpt", "550 5.4.1 access denied", BOUNCE),
    ("rcpt", "550 No such user here", BOUNCE),
    ("rcpt", "550 User unknown", BOUNCE),
    ("rcpt", "550 Mailbox not found", BOUNCE),
    ("rcpt", "550 Recipient address does not exist", BOUNCE),
    ("rcpt", "550 the account doesn't exist", BOUNCE),
    ("rcpt", "550 Requested action not taken: mailbox unavailable", BOUNCE),
    ("rcpt", "550 5.7.1 no such user, says our policy", BLOCK),
    ("rcpt", "550 5.7.26 not authenticated", BLOCK),
    ("rcpt", "554 5.7.1 blocked using a list", BLOCK),
    ("rcpt", "550 5.1.0 address rejected", BLOCK),
    ("rcpt", "550 go away", BLOCK),
    ("rcpt", "550", BLOCK),
    ("rcpt", "554 5.0.0 no", BLOCK),
    ("rcpt", "571 not today", BLOCK),
    ("rcpt", "500 5.5.2 syntax", BLOCK),
    ("rcpt", "501 5.1.3 bad address syntax", BLOCK),
    ("rcpt", "502 5.5.1 no", BLOCK),
    ("rcpt", "503 5.5.1 MAIL first", BLOCK),
    ("rcpt", "504 5.5.4 no", BLOCK),
    ("rcpt", "555 5.5.4 no", BLOCK),
    # Before the content: as for the sender.
    ("data", "354 go ahead", PROCEED),
    ("data", "451 4.3.0 later", DEFER),
    ("data", "452 4.3.1 disk full", DEFER),
    ("data", "550 5.7.1 no", STOP),
    ("data", "554 5.7.1 no", STOP),
    ("data", "503 5.5.1 RCPT first", BLOCK),
    # After the final dot: of the content or the recipient.
    ("dot", "250 2.0.0 queued as 4Xyz", PROCEED),
    ("dot", "450 4.7.1 later", DEFER),
    ("dot", "451 4.3.0 later", DEFER),
    ("dot", "452 4.3.1 disk full", DEFER),
    ("dot", "550 5.1.1 unknown after all", BOUNCE),
    ("dot", "554 5.2.1 disabled", BOUNCE),
    ("dot", "552 5.2.2 mailbox full", DEFER),
    ("dot", "554 5.6.0 bad content", BLOCK),
    ("dot", "550 5.7.1 looks like spam", BLOCK),
    ("dot", "552 5.3.4 too big", BLOCK),
    ("dot", "552 too big", BLOCK),
    ("dot", "550 this user unknown to be spam-free", BLOCK),
    ("dot", "554 transaction failed", BLOCK),
    ("dot", "500 5.5.2 line too long", BLOCK),
]


def reply(line: str) -> Reply:
    code, _, text = line.partition(" ")
    return Reply(int(code), text)


@pytest.mark.parametrize(("phase", "line", "verdict"), TABLE)
def test_every_reply_has_its_meaning(phase: str, line: str, verdict: Verdict) -> None:
    assert judge(Phase(phase), reply(line)) is verdict


@pytest.mark.parametrize("phase", Phase)
def test_a_closing_server_is_backed_off_from_wherever_it_says_so(phase: Phase) -> None:
    assert judge(phase, Reply(421, "4.7.0 closing")) is BACK_OFF


@pytest.mark.parametrize("phase", Phase)
def test_an_unknown_code_is_judged_by_its_first_digit(phase: Phase) -> None:
    alike = {299: 250, 499: 450, 599: 550}
    assert {code: judge(phase, Reply(code, "")) for code in alike} == {
        code: judge(phase, Reply(known, "")) for code, known in alike.items()
    }


@given(st.sampled_from(Phase), st.integers(200, 599), st.text())
def test_no_recipient_is_lost_to_a_reply_that_was_not_about_them(phase: Phase, code: int, text: str) -> None:
    verdict = judge(phase, Reply(code, text))
    if phase not in (Phase.RCPT, Phase.DOT) or code < 500:
        assert verdict is not BOUNCE
    if phase in (Phase.CONNECT, Phase.STARTTLS, Phase.AUTH):
        assert verdict in (PROCEED, BACK_OFF, STOP)
    if phase in (Phase.RCPT, Phase.DOT):
        assert verdict in {*STATES, BACK_OFF}
    assert (verdict is PROCEED) == (code < 300 or (phase is Phase.DATA and code == 354))


def test_each_verdict_on_one_letter_is_a_state_of_the_ledger() -> None:
    states = {PROCEED: "accepted", DEFER: "deferred", BOUNCE: "bounced", BLOCK: "blocked"}
    assert {verdict: DeliveryState(state) for verdict, state in states.items()} == STATES


@pytest.mark.parametrize(
    ("line", "enhanced"),
    [
        ("550 5.1.1 unknown", "5.1.1"),
        ("550 5.7.515 no", "5.7.515"),
        ("550 5.1.10", "5.1.10"),
        ("450 4.2.2 full", "4.2.2"),
        ("250 2.0.0 ok", "2.0.0"),
        ("550 5.1.1 first\n5.1.1 second", "5.1.1"),
        ("450 5.1.1 another class", ""),
        ("550 4.2.2 another class", ""),
        ("550 3.1.1 no class at all", ""),
        ("550 unknown 5.1.1", ""),
        ("550 5.1 two parts", ""),
        ("550 5.1.x", ""),
        ("550", ""),
        ("354 go ahead", ""),
    ],
)
def test_the_enhanced_code_is_the_one_that_begins_the_text_and_fits_the_reply(line: str, enhanced: str) -> None:
    assert reply(line).enhanced == enhanced


def test_a_reply_is_kept_as_one_line_that_is_not_too_long() -> None:
    assert str(Reply(550, "5.1.1 first\r\n5.1.1  second")) == "550 5.1.1 first 5.1.1 second"
    assert len(str(Reply(550, "x" * 10_000))) == 500


@given(st.integers(1, 1000), st.randoms())
def test_the_wait_for_another_try_is_between_half_a_minute_and_the_step(attempts: int, chance: random.Random) -> None:
    step = BACKOFF[min(attempts, len(BACKOFF)) - 1]
    assert timedelta(seconds=30) <= backoff(attempts, chance) <= step + timedelta(seconds=30)


def test_the_steps_grow_from_a_minute_to_four_hours() -> None:
    assert list(BACKOFF) == sorted(BACKOFF)
    assert (BACKOFF[0], BACKOFF[-1]) == (timedelta(minutes=1), timedelta(hours=4))


def test_letters_put_off_together_do_not_come_back_together() -> None:
    chance = random.Random(1)
    assert len({backoff(3, chance) for _ in range(100)}) == 100
