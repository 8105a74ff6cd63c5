"""The scripted mail server keeps its word: what it took is written down, and pipelined input is read rightly."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from .faults import PROFILES, Fault, Script, parse_shares
from .mail_server import MailServer
from .plan import Aim, Kind, draw

ADA, BEN = "ada@example.org", "ben@example.org"
LETTER = b"Message-ID: <1@example.org>\r\nTo: ada@example.org\r\n\r\n..a line with a dot\r\n"

Serve = Callable[..., MailServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server that does this to every letter."""
    with contextlib.ExitStack() as stack:

        def start(fault: Fault | None = None, *, pipelining: bool = True) -> MailServer:
            server = MailServer(
                tmp_path / "mail", seed=1, faults=f"{fault}=100" if fault else "quiet", pipelining=pipelining
            )
            return stack.enter_context(server)

        yield start


@contextlib.contextmanager
def connected(server: MailServer) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client, client.makefile("rb") as replies:
        assert replies.readline().startswith(b"220")
        yield client, replies


def transaction(recipient: str) -> bytes:
    return f"MAIL FROM:<news@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()


def codes(replies: BinaryIO, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        line = replies.readline()
        assert line, f"hung up after {found}"
        if line[3:4] == b" ":
            found.append(int(line[:3]))
    return found


def test_pipelined_letters_are_stored_as_they_came(serve: Serve) -> None:
    server = serve()
    with connected(server) as (client, replies):
        client.sendall(transaction(ADA))
        assert codes(replies, 3) == [250, 250, 354]
        client.sendall(LETTER + b".\r\n" + transaction(BEN))
        assert codes(replies, 4) == [250, 250, 250, 354]
        client.sendall(LETTER + b".\r\nQUIT\r\n")
        assert codes(replies, 2) == [250, 221]
    record = server.record()
    (copy,) = record.copies[ADA]
    assert record.bytes_of(copy) == LETTER.replace(b"\r\n..", b"\r\n.")
    assert (copy.message_id, copy.header_to) == ("<1@example.org>", ADA)
    assert record.copies[BEN][0].sha256 == copy.sha256
    assert record.odd == []


def test_what_was_taken_outlives_the_server(serve: Serve) -> None:
    server = serve()
    with connected(server) as (client, replies):
        client.sendall(transaction(ADA))
        codes(replies, 3)
        client.sendall(LETTER + b".\r\n")
        assert codes(replies, 1) == [250]
        port = server.port
        server.kill()
    server.start()
    assert server.port == port
    with connected(server):
        assert len(server.record().copies[ADA]) == 1
        assert sorted(server.record().conversations) == [1, 2]


@pytest.mark.parametrize(
    ("fault", "expected", "copies", "withheld"),
    [
        (Fault.DEFER_DOT, [451], 0, 0),
        (Fault.BLOCK, [554], 0, 0),
        (Fault.CLOSE_DOT, [421], 0, 0),
        (Fault.CUT_DOT, [], 0, 1),
        (Fault.CUT_STORED, [], 1, 1),
        (Fault.STALL, [250], 1, 0),
    ],
)
def test_the_dot_is_answered_by_the_script(
    serve: Serve, fault: Fault, expected: list[int], copies: int, withheld: int
) -> None:
    server = serve(fault)
    with connected(server) as (client, replies):
        client.sendall(transaction(ADA))
        assert codes(replies, 3) == [250, 250, 354]
        client.sendall(LETTER + b".\r\n")
        assert codes(replies, len(expected)) == expected
        if fault in (Fault.CLOSE_DOT, Fault.CUT_DOT, Fault.CUT_STORED):
            assert replies.readline() == b"", "hung up"
        record = server.record()
    assert (record.stored, record.withheld[ADA]) == (copies, withheld)


def test_a_refused_recipient_takes_a_lone_dot_or_none(serve: Serve) -> None:
    server = serve(Fault.REFUSE)
    answers = set()
    with connected(server) as (client, replies):
        for number in range(12):
            client.sendall(transaction(f"person{number}@example.org"))
            accepted, refused, answer = codes(replies, 3)
            assert (accepted, refused) == (250, 550)
            answers.add(answer)
            if answer == 354:
                client.sendall(b".\r\n")
                assert codes(replies, 1) == [554]
    assert answers == {354, 554}
    assert (server.record().stored, server.record().odd) == (0, [])


def test_a_body_to_nobody_is_noted(serve: Serve) -> None:
    server = serve(Fault.REFUSE)
    with connected(server) as (client, replies):
        for number in range(12):
            client.sendall(transaction(f"person{number}@example.org"))
            if codes(replies, 3)[2] == 354:
                client.sendall(LETTER + b".\r\n")
                codes(replies, 1)
    assert server.record().odd[0] == "a body to a recipient that was refused"


def test_who_sends_ahead_unasked_is_noted(serve: Serve) -> None:
    server = serve(pipelining=False)
    with connected(server) as (client, replies):
        client.sendall(transaction(ADA))
        codes(replies, 3)
    assert "PIPELINING was not offered" in server.record().odd[0]


def test_a_body_before_the_354_is_noted(serve: Serve) -> None:
    server = serve()
    with connected(server) as (client, replies):
        client.sendall(transaction(ADA) + LETTER + b".\r\n")
        codes(replies, 4)
    assert server.record().odd == ["sent more behind DATA, which ends a group of commands"]


def test_the_script_depends_on_the_seed_alone() -> None:
    script = Script(7, PROFILES["rude"], pause=0.01)
    drawn = [script.manners(f"person{number}@example.org", 1) for number in range(400)]
    again = Script(7, PROFILES["rude"], pause=0.01)
    assert drawn == [again.manners(f"person{number}@example.org", 1) for number in range(400)]
    assert {each.fault for each in drawn} >= set(Fault) - {Fault.CLOSE_MAIL}
    assert sum(each.fault is None for each in drawn) > 200, "most letters are taken"
    assert any(script.closes_at_mail(1, letter) for letter in range(400))


def test_shares_can_be_given_one_by_one() -> None:
    assert parse_shares("refuse=3,cut-dot=0.5") == {Fault.REFUSE: 3.0, Fault.CUT_DOT: 0.5}
    assert parse_shares("quiet") == {}


@pytest.mark.parametrize("kind", list(Kind))
def test_plans_are_repeatable_and_aim_everywhere(kind: Kind) -> None:
    plans = [draw(kind, seed) for seed in range(60)]
    assert plans == [draw(kind, seed) for seed in range(60)]
    assert {blow.aim for plan in plans for run in plan.runs for blow in run} == set(Aim)
    assert {plan.sessions for plan in plans} == ({1, 2} if kind is Kind.SEATS else {1, 4, 8})
    assert {plan.pipelining for plan in plans} == {plan.resend for plan in plans} == {True, False}
