"""Hundreds of experiments that kill the sender, the database and the mail server, and fill the disk.

    python -m tests.chaos --jobs 2
    python -m tests.chaos --only kill --seed 17 --keep counterexamples

prints a line of totals for each kind, and each counterexample with the command that repeats it. Exits 1 on any.
"""

import argparse
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from ..servers import postgres
from .check import DOUBT
from .jobs import Task, Terms, run_all
from .plan import Kind
from .run import Result

ON_POSTGRESQL = 4  # one in so many kills of the sender


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").split("\n")[0])
    for name, count, about in (
        ("kills", 200, "that kill the sender, one in four on PostgreSQL"),
        ("seats", 40, "that kill one of three senders at one digest"),
        ("database", 50, "that stop PostgreSQL under the sender"),
        ("disk", 20, "that fill its disk"),
        ("server", 20, "that kill the mail server"),
    ):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"experiments {about} ({count})")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at a time (2)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the first experiment's; the next has the next"
    )
    parser.add_argument(
        "--only", type=Kind, choices=list(Kind), metavar="KIND", help="one experiment: KIND with --seed"
    )
    parser.add_argument("--minutes", type=float, default=60, metavar="N", help="stop after so long (60)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep there what counterexamples leave behind")
    parser.add_argument("--verbose", action="store_true", help="a line for each experiment")
    parser.add_argument(
        "--doubt",
        type=int,
        default=DOUBT,
        metavar="N",
        help=f"letters of a session that a kill may leave unknown ({DOUBT})",
    )
    return parser.parse_args()


def tasks(given: argparse.Namespace) -> list[Task]:
    """Kinds and seeds in a mixed order, so that a run that is cut off has seen some of each."""
    if given.only:
        return [(given.only, given.seed)]
    on_postgresql = given.kills // ON_POSTGRESQL
    counts = {
        Kind.KILL: given.kills - on_postgresql,
        Kind.KILL_POSTGRESQL: on_postgresql,
        Kind.SEATS: given.seats,
        Kind.DATABASE: given.database,
        Kind.DISK: given.disk,
        Kind.SERVER: given.server,
    }
    found = [(kind, given.seed + number) for kind, count in counts.items() for number in range(count)]
    random.Random(given.seed).shuffle(found)
    return found


def tell(result: Result) -> None:
    click.echo(f"{result.kind} {result.seed}: {result.seconds:.1f} s, {result.plan}; {named(result.blows)}")


def tell_problems(result: Result) -> None:
    click.echo(f"COUNTEREXAMPLE  python -m tests.chaos --only {result.kind} --seed {result.seed}   ({result.plan})")
    for problem in result.problems:
        click.echo(f"    {problem}")


def named(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def totals(kind: Kind, results: Sequence[Result]) -> str:
    blows = sum((each.blows for each in results), Counter[str]())
    failed = sum(bool(each.problems) for each in results)
    numbers = {
        name: sum(getattr(each, name) for each in results) for name in ("messages", "lost", "doubled", "unknown")
    }
    return (
        f"{kind:<16}{len(results):>4} experiments  {blows.total():>4} blows ({named(blows)})  "
        + "  ".join(f"{name} {number}" for name, number in numbers.items())
        + (f"  COUNTEREXAMPLES {failed}" if failed else "")
    )


def summarize(results: Sequence[Result]) -> None:
    for kind in Kind:
        mine = [each for each in results if each.kind is kind]
        if mine:
            click.echo(totals(kind, mine))
            tell_where(mine)


def tell_where(results: Sequence[Result]) -> None:
    """What the blows met: that they fell where they should."""
    phases = sum((each.phases for each in results), Counter[str]())
    if phases:
        click.echo(f"{'':<16}hit sessions {named(phases)}")
    if resent := sum(each.resent for each in results):
        click.echo(f"{'':<16}{resent} queued again by hand")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given, complete = arguments(), True
    wanted = tasks(given)
    if not postgres.find_binaries():
        click.echo(f"{postgres.ADVICE}; experiments on it are left out")
        wanted, complete = [each for each in wanted if each[0].database == "sqlite"], False
    terms = Terms(given.doubt, given.keep.absolute() if given.keep else None)
    results: list[Result] = []
    try:
        for result in run_all(wanted, terms, given.jobs, given.minutes * 60):
            results.append(result)
            if given.verbose or given.only:
                tell(result)
            if result.problems:
                tell_problems(result)
    except TimeoutError:
        click.echo("out of time")
    summarize(results)
    if len(results) < len(wanted):
        click.echo(f"only {len(results)} of {len(wanted)} experiments were done")
    failed = not complete or len(results) < len(wanted) or any(each.problems for each in results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
