"""`make bench`: measure the product from outside and print a table for docs/benchmarks.md.

python -m bench                                      everything but the millions: some minutes
python -m bench --only million                       the rest; or --all: the millions, and workers over a broker
python -m bench --only rod,sqlite-20000 --runs 5     some parts; a number after a name is how many people
"""

import argparse
import compileall
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import SubprocessError
from typing import NoReturn

from . import copies, machine, peers, sinks
from .installation import prepare
from .parts import PARTS, USUAL, Chosen, choose
from .postgres import program
from .processes import ROOT, Failed, log
from .sitting import Sitting
from .table import Row, markdown


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the product from outside.")
    parser.add_argument("--only", metavar="PART,…", help=f"of {', '.join(PARTS)}; with a number of people: sqlite-2000")
    parser.add_argument("--all", action="store_true", help="the millions and the workers, too")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each measurement; default 3")
    return parser.parse_args()


def names(options: argparse.Namespace) -> Sequence[str]:
    if options.only:
        return [name.strip() for name in options.only.split(",")]
    return (*USUAL, "workers", "million", "enlist") if options.all else USUAL


def main() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)
    options = arguments()
    try:
        chosen = [choose(name) for name in names(options)]
        with_postgres = any(each.part.needs_postgres for each in chosen)
        check_programs(with_postgres=with_postgres)
        machine_line = machine.describe(with_postgres=with_postgres)
        rows = measure(chosen, max(options.runs, 1))
    except (Failed, OSError, SubprocessError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped")
    print(f"{machine_line}\n\n{markdown(rows)}")


def leave(_signal: int, _frame: object) -> NoReturn:
    """As an exception, so that every server and folder of ours goes on the way out."""
    raise KeyboardInterrupt


def check_programs(*, with_postgres: bool) -> None:
    """What is missing is said before the first run, not after the tenth minute. Raises Failed."""
    sinks.smtp_sink_binary()
    peers.smtp_source_binary()
    if with_postgres:
        program("initdb")


def measure(chosen: Sequence[Chosen], runs: int) -> list[Row]:
    compileall.compile_dir(ROOT / "mailer", quiet=1)  # as an installed package is, whatever the environment says of it
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-bench-")))
        sitting = Sitting(folder, runs, stack)
        copies.check("mailer", prepare(folder, copies.DOZEN).send)
        copies.check("Flask-Mail", lambda port: peers.flask_mail_loop(copies.DOZEN, port))
        rows = []
        for each in chosen:
            log(f"— {each.subject}, {each.count:,}")
            rows += each.measure(sitting)
        return rows


if __name__ == "__main__":
    main()
