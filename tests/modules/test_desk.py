"""Letters change hands between two threads: each ends with exactly one of them."""

import sys
import threading
from datetime import UTC, datetime

import pytest

from mailer.delivery.claims import Letter
from mailer.delivery.desk import Desk
from mailer.delivery.pace import Pace


def letter(number: int) -> Letter:
    return Letter(number, 1, 0, None, datetime(2026, 3, 1, tzinfo=UTC), f"person{number}@example.org", "uid")


@pytest.mark.parametrize("rate", [0, 50_000])
def test_a_letter_is_taken_or_given_back_and_never_both(rate: int) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            desk, taken = Desk(Pace(rate)), list[int]()
            desk.fill([letter(number) for number in range(200)])

            def carry(desk: Desk = desk, taken: list[int] = taken) -> None:
                while not desk.closed:
                    if found := desk.take():
                        taken.append(found.id)

            courier = threading.Thread(target=carry)
            courier.start()
            desk.close()
            desk.clear()
            courier.join()
            desk.clear()
            assert sorted([*taken, *desk.collect()[1]]) == list(range(200))
    finally:
        sys.setswitchinterval(before)
