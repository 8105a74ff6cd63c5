"""What a list of ten or a hundred million would take, from what was measured: the table of docs/scale.md.

python -m bench.scale
"""

import math
from dataclasses import dataclass

HOUR = 3600.0
WINDOW = 4 * HOUR  # in which a digest is to be out

# Measured on PostgreSQL 15, 100,000 people and their letters of one digest, after VACUUM: octets a row, of the table
# and of its indexes (pg_table_size, pg_indexes_size).
SUBSCRIBER = 117 + 130
SUBSCRIPTION = 85 + 74
EVENT = 117 + 45
EVENTS = 2  # asked and confirmed
DELIVERY = 229 + 135

# Measured, docs/benchmarks.md: seconds of processor time a letter, 2 × AMD EPYC.
SENDER = 65e-6
DATABASE = 49e-6
ROUND_TRIP = 4 / 78.7  # a letter and session, 50 ms away: 4 sessions carried 78.7 letters a second
SENDER_LIMIT = 8065.0  # letters a second of one sender on PostgreSQL, beside it and the mail server on two cores

MOST_SESSIONS = 64  # of one sender (SEND_SESSIONS)
KEPT = 53  # weekly digests whose letters stay in the ledger for a year


@dataclass(frozen=True)
class Size:
    people: int

    @property
    def rate(self) -> float:
        """Letters a second, claimed, sent and settled."""
        return self.people / WINDOW

    @property
    def people_bytes(self) -> float:
        return float(self.people * (SUBSCRIBER + SUBSCRIPTION + EVENTS * EVENT))

    @property
    def letters_bytes(self) -> float:
        """Of one digest."""
        return float(self.people * DELIVERY)

    @property
    def sessions(self) -> int:
        """To a mail server that is 50 ms away: one round trip a letter."""
        return math.ceil(self.rate * ROUND_TRIP)

    @property
    def senders(self) -> int:
        """As many as the sessions ask for, or the interpreter."""
        return max(math.ceil(self.sessions / MOST_SESSIONS), math.ceil(self.rate / SENDER_LIMIT))

    @property
    def sender_cores(self) -> float:
        return self.rate * SENDER

    @property
    def database_cores(self) -> float:
        return self.rate * DATABASE


def gigabytes(octets: float) -> str:
    return f"{octets / 1e9:,.1f} GB"


ROWS = {
    "letters a second for four hours": lambda size: f"{size.rate:,.0f}",
    "people: rows and indexes": lambda size: gigabytes(size.people_bytes),
    "letters of one digest: rows and indexes": lambda size: gigabytes(size.letters_bytes),
    "letters of a year of weekly digests": lambda size: gigabytes(KEPT * size.letters_bytes),
    "sessions to a mail server 50 ms away": lambda size: f"{size.sessions:,}",
    "senders for these sessions": lambda size: f"{size.senders:,}",
    "cores of the senders": lambda size: f"{size.sender_cores:.2f}",
    "cores of the database for the ledger": lambda size: f"{size.database_cores:.2f}",
}


def table() -> str:
    sizes = [Size(1_000_000), Size(10_000_000), Size(100_000_000)]
    lines = [f"| | {' | '.join(f'{size.people:,}' for size in sizes)} |", "| --- |" + " --- |" * len(sizes)]
    lines += [f"| {name} | {' | '.join(tell(size) for size in sizes)} |" for name, tell in ROWS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
