"""Counters in the database: exact among processes, and they name nobody (D-119)."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from mailer.addresses import parse
from mailer.db import db, transaction
from mailer.errors import ProofWanted
from mailer.parsing import Limit
from mailer.subscriptions import counters, throttle
from mailer.subscriptions.counters import Kind, slice_end
from mailer.subscriptions.throttle import Visitor, mailbox, network

from ..installation import Installation
from ..strangers import Stranger, open_to_strangers

WORKER = """
import sys, time_machine
from mailer.app import create_app
from mailer.addresses import parse
from mailer.db import transaction
from mailer.errors import ProofWanted
from mailer.subscriptions import throttle
from ipaddress import ip_address

visitor = throttle.Visitor(ip=ip_address("192.0.2.1"))
letters = asked = 0
with time_machine.travel("2026-03-02T12:00:00Z", tick=False), create_app(lean=True).app_context():
    for number in range(25):
        try:
            with transaction() as session:
                letters += throttle.admit(session, parse(sys.argv[1]), visitor)
        except ProofWanted:
            asked += 1
print(letters, asked)
"""


def test_four_processes_share_every_limit(here: Installation) -> None:
    """D-119: a fake clock, four processes: 100 requests at one instant, 3 letters, 20 let through."""
    here.configure(LIMIT_ADDRESS="3/1d", LIMIT_CLIENT="20/1h", ATTACK_RATIO=0)
    command = [sys.executable, "-c", WORKER, "ada@example.org"]
    workers = [subprocess.Popen(command, cwd=here.folder, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [[int(number) for number in worker.communicate(timeout=60)[0].split()] for worker in workers]
    assert [sum(column) for column in zip(*told, strict=True)] == [3, 80]


@pytest.mark.usefixtures("app_context")
def test_keys_name_nobody() -> None:
    with transaction() as session:
        throttle.admit(session, parse("ada@example.org"), Visitor(ip=ip_address("192.0.2.1")))
    keys = db.session.scalars(sa.text("SELECT key FROM throttle")).all()
    assert {key.split("-")[0] for key in keys} == {"address", "client", "network", "domain", "all"}
    assert all(re.fullmatch(r"[a-z]+-[\w-]{24}", key) for key in keys)


@pytest.mark.usefixtures("app_context")
def test_nothing_is_counted_for_who_is_refused() -> None:
    visitor = Visitor(ip=ip_address("192.0.2.1"), hasty=True)
    with pytest.raises(ProofWanted), transaction() as session:
        throttle.admit(session, parse("ada@example.org"), visitor)
    assert db.session.scalar(sa.text("SELECT count(*) FROM throttle")) == 0


def test_a_limit_holds_in_every_period_not_only_by_the_clock(here: Installation) -> None:
    """Five late in one minute and five early in the next are ten within a minute."""
    open_to_strangers(here, LIMIT_CLIENT="5/1m")
    answers = []
    for second in (55, 56, 57, 58, 59, 61, 62, 63):
        at = datetime(2026, 3, 2, 12, 0, tzinfo=UTC) + timedelta(seconds=second)
        with time_machine.travel(at, tick=False):
            answers.append(Stranger(here).post(f"a{second}@example.org").status_code)
    assert answers == [200] * 5 + [429] * 3


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.sampled_from([5, 60, 3600]))
def test_a_moment_lies_in_its_slice(at: datetime, seconds: int) -> None:
    end = slice_end(at, seconds)
    assert at < end <= at + timedelta(seconds=seconds)
    assert end.timestamp() % seconds == 0


@pytest.mark.parametrize(
    ("given_", "same"),
    [
        ("Ada.Lovelace+x@Gmail.com", "adalovelace@gmail.com"),
        ("adalovelace@googlemail.com", "adalovelace@gmail.com"),
        ("ada.l+x@example.org", "ada.l@example.org"),
        ("+x@example.org", "+x@example.org"),
    ],
)
def test_one_mailbox_has_one_name(given_: str, same: str) -> None:
    """D-125."""
    assert mailbox(parse(given_)) == same


@pytest.mark.parametrize(
    ("ip", "net"),
    [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"), (None, "")],
)
def test_a_network_is_what_one_customer_has(ip: str | None, net: str) -> None:
    assert network(ip_address(ip) if ip else None) == net


@pytest.mark.usefixtures("app_context")
def test_seconds_until_one_more_fits() -> None:
    at = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    keys = {Kind.CLIENT: counters.key_of(Kind.CLIENT, "x")}
    limit = Limit("20/1h")
    with transaction() as session:
        for minutes in range(20):
            counters.add(session, keys.items(), at + timedelta(minutes=minutes))
    counts = counters.count(db.session(), keys, at + timedelta(minutes=30))
    assert counters.free_in(db.session(), counts, Kind.CLIENT, limit, 20) == pytest.approx(1800, abs=6)
    assert counters.free_in(db.session(), counts, Kind.CLIENT, limit, 10) == pytest.approx(2400, abs=6)
    assert counters.free_in(db.session(), counts, Kind.CLIENT, limit, 21) == 1
