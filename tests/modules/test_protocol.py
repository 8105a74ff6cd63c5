"""The protocol without a socket, against a scripted server: whatever is said and however it is cut, every letter has
one end, and no letter has the wrong one."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.delivery.outcomes import Outcome, Phase
from mailer.delivery.protocol import (
    LONGEST_REPLY,
    Begun,
    Broken,
    Event,
    Features,
    Parcel,
    Protocol,
    Returned,
    ServerRefuses,
    ServerTrouble,
    Settled,
)
from mailer.states import DeliveryState

from .scripted import SILENCE, Babbler, Script, ScriptedServer, Talk

ACCEPTED, BOUNCED, BLOCKED = DeliveryState.ACCEPTED, DeliveryState.BOUNCED, DeliveryState.BLOCKED
DEFERRED, UNKNOWN = DeliveryState.DEFERRED, DeliveryState.UNKNOWN
RETURNED = None
EVERYWHERE = range(1_000_000)
OK, GO_ON, NO, NOBODY = b"250 2.0.0 ok\r\n", b"354 go on\r\n", b"550 5.1.1 no\r\n", b"503 5.5.1 RCPT first\r\n"
ENVELOPE = b"MAIL FROM:<letter%(n)d@lists.example.org>\r\nRCPT TO:<person%(n)d@example.org>\r\nDATA\r\n"

# What a letter may meet without harm to the session, and its end.
HARMLESS: dict[str, tuple[Script, DeliveryState]] = {
    "accepted": (Script(), ACCEPTED),
    "accepted in many words": (Script(dot=b"250-2.0.0 ok\r\n250-\r\n250\r\n"), ACCEPTED),
    "forwarded": (Script(rcpt=b"251 2.1.5 will forward\r\n"), ACCEPTED),
    "sender put off": (Script(mail=b"451 4.7.1 later\r\n"), DEFERRED),
    "sender put off, then a body is wanted": (Script(mail=b"451 4.7.1 later\r\n", empty=GO_ON), DEFERRED),
    "our syntax": (Script(mail=b"501 5.5.4 what?\r\n"), BLOCKED),
    "greylisted": (Script(rcpt=b"450 4.2.0 greylisted\r\n"), DEFERRED),
    "greylisted, then a body is wanted": (Script(rcpt=b"450-4.2.0 a\r\n450 4.2.0 b\r\n", empty=GO_ON), DEFERRED),
    "unknown": (Script(rcpt=b"550 5.1.1 no such user\r\n"), BOUNCED),
    "unknown, then nobody to send to": (Script(rcpt=b"550 5.1.1 no\r\n", empty=b"554 5.5.1 nobody\r\n"), BOUNCED),
    "unknown, then a body is wanted": (Script(rcpt=b"550 5.1.1 no\r\n", empty=GO_ON), BOUNCED),
    "refused by policy": (Script(rcpt=b"554 5.7.1 no\r\n", empty=GO_ON), BLOCKED),
    "put off before the body": (Script(data=b"452 4.3.1 disk full\r\n"), DEFERRED),
    "put off at the dot": (Script(dot=b"451 4.3.0 later\r\n"), DEFERRED),
    "unknown at the dot": (Script(dot=b"550 5.1.1 unknown after all\r\n"), BOUNCED),
    "refused at the dot": (Script(dot=b"554 5.6.0 bad content\r\n"), BLOCKED),
}
CLOSING, NONSENSE = b"421 4.3.2 closing\r\n", b"hello there\r\n"
# What ends the session, the letter's end in it, and the session's.
FATAL: dict[str, tuple[Script, DeliveryState | None, type[Exception]]] = {
    **{
        f"{fault!r} to {phase}": (Script(**{phase: fault}), RETURNED, ServerTrouble)
        for fault, phase in product((CLOSING, NONSENSE, SILENCE, b"350 what\r\n", b"25"), ("mail", "rcpt", "data"))
    },
    **{
        f"{fault!r} to the dot": (Script(dot=fault), UNKNOWN, ServerTrouble)
        for fault in (NONSENSE, SILENCE, GO_ON, b"25\r\n", b"199 x\r\n", b"250", b"250-a\r\n251 b\r\n")
    },
    "421 to the dot": (Script(dot=CLOSING), RETURNED, ServerTrouble),
    "a sender that is refused": (Script(mail=b"550 5.7.1 not you\r\n"), RETURNED, ServerRefuses),
    "refused before the body": (Script(data=b"554 5.7.1 not you\r\n"), RETURNED, ServerRefuses),
    "421 before a refusal": (Script(mail=b"421 bye\r\n", rcpt=b"550 5.1.1 no\r\n"), RETURNED, ServerTrouble),
}
SCRIPTS = {name: script for name, (script, *_) in {**HARMLESS, **FATAL}.items()}


def parcel(number: int, message: bytes = b"") -> Parcel:
    words = b"Message-ID: <%d>\r\n\r\nHello.\r\n" % number
    return Parcel(number, f"letter{number}@lists.example.org", f"person{number}@example.org", words + message)


def talk_of(names: Sequence[str], *, pipelining: bool, parcels: Sequence[Parcel] = (), **wire: object) -> Talk:
    """A whole conversation about letters that meet what is named."""
    parcels = parcels or [parcel(number) for number in range(len(names))]
    scripts = {each.sender: SCRIPTS[name] for each, name in zip(parcels, names, strict=True)}
    protocol = Protocol(Features(pipelining=pipelining))
    return Talk(protocol, ScriptedServer(scripts, pipelining=pipelining), parcels, **wire).run()  # type: ignore[arg-type]


def end_of(talk: Talk, letter: Parcel) -> DeliveryState | None:
    (end,) = talk.ends(letter)
    return end.outcome.state if isinstance(end, Settled) else RETURNED


def assert_accounted_for(talk: Talk) -> None:
    """What must hold of every conversation."""
    accepted = {letter for letter in talk.offered if end_of(talk, letter) is ACCEPTED}
    stored = {sender: (recipient, message) for sender, recipient, message in talk.server.stored}
    confirmed = {sender for sender in stored if talk.server.answered_at[sender] <= talk.heard}
    assert {letter.sender for letter in accepted} == confirmed, "accepted is what the server took and said so"
    assert len(stored) == len(talk.server.stored)
    for letter in talk.offered:
        if letter.sender in stored:
            assert end_of(talk, letter) in (ACCEPTED, UNKNOWN)
            assert stored[letter.sender] == (letter.recipient, letter.message)
        if end_of(talk, letter) is UNKNOWN:
            assert letter.sender in talk.server.answered_at, "its dot was written"
            assert talk.has_begun(letter)
    assert isinstance(talk.events[-1], Broken) == talk.protocol.over


BOTH = pytest.mark.parametrize("pipelining", [True, False])


@BOTH
@pytest.mark.parametrize("name", HARMLESS)
def test_a_letter_has_its_own_end_and_harms_neither_the_one_before_nor_the_next(name: str, *, pipelining: bool) -> None:
    for cuts in ((), EVERYWHERE):
        talk = talk_of(["accepted", name, "accepted", name, name, "accepted"], pipelining=pipelining, cuts=cuts)
        state = HARMLESS[name][1]
        assert [end_of(talk, each) for each in talk.offered] == [ACCEPTED, state, ACCEPTED, state, state, ACCEPTED]
        assert_accounted_for(talk)
        assert not talk.protocol.over


@BOTH
@pytest.mark.parametrize("name", FATAL)
def test_what_ends_a_session_concludes_nothing_wrong(name: str, *, pipelining: bool) -> None:
    _, state, trouble = FATAL[name]
    for cuts in ((), EVERYWHERE):
        talk = talk_of(["accepted", name, "accepted"], pipelining=pipelining, cuts=cuts)
        assert [end_of(talk, each) for each in talk.offered[:2]] == [ACCEPTED, state]
        assert [end_of(talk, each) for each in talk.offered[2:]] in ([], [RETURNED])
        assert isinstance(talk.events[-1], Broken)
        assert isinstance(talk.events[-1].trouble, trouble)
        assert_accounted_for(talk)


BODY_LINE = st.one_of(
    st.sampled_from([b"", b"MAIL FROM:<a@example.org>", b"DATA", b"RSET", b"QUIT", b" .", b"250 ok", b"x" * 5000]),
    st.binary(max_size=60).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"").lstrip(b".")),
)
BODIES = st.lists(BODY_LINE, max_size=5).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
LETTERS = st.lists(st.tuples(st.sampled_from([*HARMLESS, *HARMLESS, *FATAL]), BODIES), min_size=1, max_size=6)
CUTS = st.one_of(st.just(EVERYWHERE), st.sets(st.integers(1, 600), max_size=40))


@given(LETTERS, CUTS, st.booleans())
@example([("accepted", b""), ("unknown, then a body is wanted", b""), ("accepted", b"")], EVERYWHERE, True)
def test_any_letters_cut_anywhere_are_accounted_for(
    letters: list[tuple[str, bytes]], cuts: range | set[int], pipelining: bool
) -> None:
    parcels = [parcel(number, body) for number, (_, body) in enumerate(letters)]
    talk = talk_of([name for name, _ in letters], pipelining=pipelining, parcels=parcels, cuts=cuts)
    assert_accounted_for(talk)
    if not talk.protocol.over:
        assert [end_of(talk, each) for each in parcels] == [HARMLESS[name][1] for name, _ in letters]


MIXED = ["accepted in many words", "unknown, then a body is wanted", "refused at the dot", "accepted", "greylisted"]


@BOTH
def test_a_cut_at_any_octet_changes_nothing(*, pipelining: bool) -> None:
    whole = talk_of(MIXED, pipelining=pipelining)
    for at in range(1, whole.server.said):
        talk = talk_of(MIXED, pipelining=pipelining, cuts={at})
        assert (talk.events, talk.written) == (whole.events, whole.written), f"cut at {at}"


@BOTH
def test_a_connection_that_falls_silent_at_any_octet_leaves_in_doubt_what_waits_for_its_reply(
    *, pipelining: bool
) -> None:
    for at in range(talk_of(MIXED, pipelining=pipelining).server.said):
        talk = talk_of(MIXED, pipelining=pipelining, deaf_at=at)
        assert_accounted_for(talk)
        in_doubt = [each.sender for each in talk.offered if end_of(talk, each) is UNKNOWN]
        assert in_doubt == [sender for sender, answered in talk.server.answered_at.items() if answered > at]


@BOTH
def test_a_connection_that_breaks_at_any_octet_leaves_in_doubt_only_a_letter_whose_dot_was_written(
    *, pipelining: bool
) -> None:
    names = ["accepted", "unknown", "accepted"]
    for at in range(1, len(talk_of(names, pipelining=pipelining).written)):
        talk = talk_of(names, pipelining=pipelining, breaks_at=at)
        assert_accounted_for(talk)
        for letter in talk.offered:
            if talk.has_begun(letter) and end_of(talk, letter) is not ACCEPTED:
                assert end_of(talk, letter) is (UNKNOWN if letter.sender in talk.server.answered_at else DEFERRED)


# How letters travel.


def pipelined(*heard: bytes, letter: Parcel | None = None) -> Protocol:
    """A protocol that has written a letter's envelope in one go, and heard this much."""
    protocol = Protocol(Features(pipelining=True))
    protocol.offer(letter or parcel(1))
    protocol.output()
    protocol.receive(b"".join(heard))
    return protocol


def test_the_next_envelope_is_written_together_with_a_body_and_its_dot() -> None:
    """One round trip a letter."""
    first, second = parcel(1), parcel(2)
    protocol = pipelined(OK, OK, GO_ON, letter=first)
    assert protocol.offer(second) is None
    assert protocol.output() == first.message + b".\r\n" + ENVELOPE % {b"n": 2}
    settled, begun = protocol.receive(b"250 2.0.0 queued as 4Xyz\r\n" + OK + OK + GO_ON)
    assert settled == Settled(first, Outcome(ACCEPTED, "250 2.0.0 queued as 4Xyz"))
    assert isinstance(begun, Begun)
    assert protocol.output() == second.message + b".\r\n"


@BOTH
@pytest.mark.parametrize("name", HARMLESS)
def test_what_has_to_wait_for_a_reply_waits(name: str, *, pipelining: bool) -> None:
    """RFC 2920 3.1: DATA ends a group, and without PIPELINING there are none."""
    talk = talk_of([name, "accepted", name, name, "accepted"], pipelining=pipelining)
    assert talk.server.not_waited_for == []


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    protocol, written = Protocol(Features()), []
    protocol.offer(parcel(1))
    for reply in (OK, OK, GO_ON, OK):
        written.append(protocol.output())
        protocol.receive(reply)
    envelope = (ENVELOPE % {b"n": 1}).splitlines(keepends=True)
    assert written == [*envelope, parcel(1).message + b".\r\n"]
    assert protocol.output() == b""


def test_a_server_that_wants_a_body_for_nobody_gets_a_lone_dot_and_a_reset() -> None:
    """RFC 2920 3.1."""
    talk = talk_of(["unknown, then a body is wanted", "accepted"], pipelining=True)
    refused, taken = (ENVELOPE % {b"n": 0}, ENVELOPE % {b"n": 1})
    assert talk.written == refused + b".\r\nRSET\r\n" + taken + talk.parcels[1].message + b".\r\n"
    assert talk.server.empty_messages == 1


def test_the_empty_message_is_for_nobody() -> None:
    """A server that refuses a sender and takes the recipient all the same is out of step."""
    protocol = pipelined(b"451 4.7.1 later\r\n", OK, GO_ON)
    assert protocol.output() == b""
    assert protocol.over


def test_output_is_handed_out_once() -> None:
    protocol = Protocol(Features())
    protocol.offer(parcel(1))
    assert protocol.output() != b""
    assert protocol.output() == b""


# What a server says out of turn, or without sense.


def waiting_for(phase: Phase) -> tuple[Protocol, Parcel | None]:
    """A protocol to which the reply of `phase` is due next, and the letter that depends on it."""
    heard = {
        Phase.MAIL: (),
        Phase.RCPT: (OK,),
        Phase.DATA: (OK, OK),
        Phase.DOT: (OK, OK, GO_ON),
        Phase.LONE_DOT: (OK, NO, GO_ON),
        Phase.RSET: (OK, NO, NOBODY),
        Phase.NOOP: (OK, NO, NOBODY),
    }
    protocol, letter = pipelined(*heard[phase]), parcel(1)
    if phase is Phase.RSET:
        letter = parcel(2)
        protocol.offer(letter)
    elif phase is Phase.NOOP:
        protocol.noop()
    protocol.output()
    assert protocol.phase is phase
    return protocol, None if phase in (Phase.LONE_DOT, Phase.NOOP) else letter


PHASES = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT, Phase.LONE_DOT, Phase.RSET, Phase.NOOP)


def assert_broken(protocol: Protocol, events: Sequence[Event], *ends: tuple[Parcel, DeliveryState | None]) -> None:
    """These letters end so, and the session with them."""
    assert all(isinstance(each, Settled | Returned) for each in events[:-1])
    found = [(each.parcel, each.outcome.state if isinstance(each, Settled) else RETURNED) for each in events[:-1]]
    assert found == list(ends)
    assert isinstance(events[-1], Broken)
    assert isinstance(events[-1].trouble, ServerTrouble)
    assert str(events[-1].trouble).isprintable(), "one line, whatever was said"
    assert (protocol.over, protocol.phase, protocol.output()) == (True, None, b"")


SENSELESS = [
    b"\r\n",
    b"hello there\r\n",
    b"HTTP/1.1 400 Bad Request\r\n",
    b"\x15\x03\x03\x00\x02\x02\n",
    b"25\r\n",
    b"2500 ok\r\n",
    b"250_ok\r\n",
    b"250\tok\r\n",
    b" 250 ok\r\n",
    b"-250 ok\r\n",
    "２５０ ok\r\n".encode(),
    b"000 ok\r\n",
    b"199 ok\r\n",
    b"600 ok\r\n",
    b"999 ok\r\n",
    b"250-ok\r\n251 ok\r\n",
    b"250-ok\r\n550 no\r\n",
    b"250-ok\r\nok\r\n",
    b"250-ok\r\n\r\n250 ok\r\n",
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("said", SENSELESS)
def test_nonsense_is_trouble_and_never_an_outcome(phase: Phase, said: bytes) -> None:
    protocol, letter = waiting_for(phase)
    ends = [(letter, UNKNOWN if phase is Phase.DOT else RETURNED)] if letter else []
    assert_broken(protocol, protocol.receive(said), *ends)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "said", [b"x", b"250 " + b"x" * 1000, b"250-ok\r\n", b"250-\r\n", b"250-" + b"x" * 60_000 + b"\r\n"]
)
def test_a_server_that_never_ends_what_it_says_is_not_listened_to_for_long(phase: Phase, said: bytes) -> None:
    protocol, letter = waiting_for(phase)
    said, events, heard = said * (10_000_000 // len(said)), list[Event](), 0
    while not protocol.over and heard < len(said):
        events += protocol.receive(said[heard : heard + 16_384])
        heard += 16_384
    assert_broken(protocol, events, *([(letter, UNKNOWN if phase is Phase.DOT else RETURNED)] if letter else []))
    assert heard <= 2 * LONGEST_REPLY


OUT_OF_TURN = [
    *((phase, reply) for phase in PHASES if phase is not Phase.DATA for reply in (GO_ON, b"334 go on\r\n")),
    *((Phase.DATA, reply) for reply in (OK, b"221 2.0.0 bye\r\n", b"350 go on\r\n")),
]


@pytest.mark.parametrize(("phase", "reply"), OUT_OF_TURN)
def test_a_reply_that_answers_another_question_is_trouble(phase: Phase, reply: bytes) -> None:
    protocol, letter = waiting_for(phase)
    ends = [(letter, UNKNOWN if phase is Phase.DOT else RETURNED)] if letter else []
    assert_broken(protocol, protocol.receive(reply), *ends)


@pytest.mark.parametrize(
    "heard",
    [
        (b"451 4.7.1 later\r\n", GO_ON),
        (b"451 4.7.1 later\r\n", OK, OK),
        (b"451 4.7.1 later\r\n", NOBODY, OK),
        (OK, b"451 4.7.1 later\r\n", OK),
        (OK, b"451 4.7.1 later\r\n", b"350 what\r\n"),
    ],
)
def test_a_reply_that_makes_no_sense_behind_a_refusal_is_trouble(heard: tuple[bytes, ...]) -> None:
    protocol = pipelined(*heard)
    assert protocol.over
    assert protocol.output() == b""


SENTENCES = st.lists(
    st.one_of(st.sampled_from([OK, OK, GO_ON, NO, NOBODY, CLOSING, *SENSELESS]), st.binary(max_size=20))
)


@given(st.lists(SENTENCES.map(b"".join), max_size=12), CUTS, st.booleans())
@example([OK * 3, OK + GO_ON, OK + GO_ON], EVERYWHERE, True)
@example([OK, NO, GO_ON, OK], EVERYWHERE, True)
def test_whatever_a_server_babbles_every_letter_has_one_end(
    sentences: list[bytes], cuts: range | set[int], pipelining: bool
) -> None:
    protocol, parcels = Protocol(Features(pipelining=pipelining)), [parcel(number) for number in range(4)]
    talk = Talk(protocol, Babbler(sentences), parcels, cuts).run()
    for letter in talk.offered:
        state = end_of(talk, letter)
        assert talk.has_begun(letter) or state in (RETURNED, DEFERRED, BOUNCED, BLOCKED)
    assert isinstance(talk.events[-1], Broken) == protocol.over
    assert protocol.over or not talk.waiting


@pytest.mark.parametrize("said", [OK, NO, GO_ON, b"421 4.4.2 you said nothing\r\n", b"hello\r\n"])
@pytest.mark.parametrize("used", [False, True])
def test_a_word_that_nobody_asked_for_ends_the_session(said: bytes, *, used: bool) -> None:
    protocol = waiting_for(Phase.DOT)[0] if used else Protocol(Features(pipelining=True))
    if used:
        protocol.receive(OK)
    assert_broken(protocol, protocol.receive(said))


@pytest.mark.parametrize("said", [OK, NO, b"4", b"421 4.3.2 closing\r\n", b"hello\r\n", b"250-"])
def test_a_server_that_goes_on_talking_gets_no_body(said: bytes) -> None:
    protocol, letter = waiting_for(Phase.DATA)
    assert letter
    assert_broken(protocol, protocol.receive(GO_ON + said), (letter, RETURNED))


@pytest.mark.parametrize("said", [OK, NO])
def test_a_verdict_on_a_body_that_has_not_left_is_none(said: bytes) -> None:
    protocol = pipelined(OK, OK, GO_ON)
    events = protocol.receive(said)
    assert isinstance(events[-1], Broken)
    assert not [each for each in events if isinstance(each, Settled) and each.outcome.state in (ACCEPTED, BOUNCED)]


@pytest.mark.parametrize("phase", PHASES)
def test_a_closing_server_has_tried_nobodys_letter(phase: Phase) -> None:
    protocol, letter = waiting_for(phase)
    assert_broken(
        protocol, protocol.receive(b"421-4.3.2 closing\r\n421 bye\r\n"), *([(letter, RETURNED)] if letter else [])
    )


@pytest.mark.parametrize(("heard", "state"), [((b"451 4.7.1 later\r\n",), DEFERRED), ((OK, NO), BOUNCED)])
def test_a_refusal_stands_even_if_the_server_closes_behind_it(heard: tuple[bytes, ...], state: DeliveryState) -> None:
    closed, lost = pipelined(*heard), pipelined(*heard)
    assert_broken(closed, closed.receive(b"421 4.3.2 closing\r\n"), (parcel(1), state))
    assert_broken(lost, lost.lost("reset by peer"), (parcel(1), state))


@pytest.mark.parametrize("phase", PHASES)
def test_a_lost_connection_leaves_a_doubt_only_about_a_letter_whose_dot_waits_for_its_reply(phase: Phase) -> None:
    protocol, letter = waiting_for(phase)
    ends = [(letter, UNKNOWN if phase is Phase.DOT else RETURNED)] if letter else []
    assert_broken(protocol, protocol.lost("reset by peer"), *ends)


def test_a_reset_that_is_refused_ends_the_session_and_not_the_letter_behind_it() -> None:
    protocol, letter = waiting_for(Phase.RSET)
    assert letter
    assert_broken(protocol, protocol.receive(b"502 5.5.1 no\r\n"), (letter, RETURNED))


@BOTH
def test_a_refusal_of_the_sender_stops_and_bounces_nobody(*, pipelining: bool) -> None:
    talk = talk_of(["accepted", "a sender that is refused"], pipelining=pipelining)
    assert isinstance(talk.events[-1], Broken)
    assert isinstance(talk.events[-1].trouble, ServerRefuses)
    assert "550 5.7.1 not you" in str(talk.events[-1].trouble)
    assert [end_of(talk, each) for each in talk.offered] == [ACCEPTED, RETURNED]


def test_a_sign_of_life_changes_nothing() -> None:
    protocol = Protocol(Features(pipelining=True))
    protocol.noop()
    assert protocol.output() == b"NOOP\r\n"
    assert (protocol.receive(OK), protocol.phase, protocol.over) == ([], None, False)
