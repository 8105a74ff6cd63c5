"""One sitting: all runs on one machine in one go, each from the same starting point, none of them dropped.

Figures that are compared are measured in turn (the rod, the product, the rod, the product …), so that a machine that
slows down for a while slows both down.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from . import peers, workers
from .ground import free_port
from .installation import Installation, fresh_copy, prepare
from .peers import Run
from .postgres import Server, private_server
from .processes import Failed, Usage, log
from .sinks import SmtpSink, Taken, smtp_sink, stamping_sink
from .web import Answers

T = TypeVar("T")


class Sitting:
    def __init__(self, folder: Path, runs: int, stack: ExitStack) -> None:
        self.folder = folder
        self.runs = runs
        self.stack = stack
        self.prepared: dict[tuple[str, int], Installation] = {}
        self.sent: defaultdict[int, list[Run]] = defaultdict(list)  # the plain case: SQLite into smtp-sink
        self.server: Server | None = None

    def in_turn(self, *contenders: Callable[[], T]) -> list[list[T]]:
        """The results of each contender, all of them run once in each round."""
        rounds = [[contender() for contender in contenders] for _ in range(self.runs)]
        return [list(each) for each in zip(*rounds, strict=True)]

    def rod(self, count: int) -> Run:
        return told(f"smtp-source, {count:,}", peers.rod(count))

    def flask_mail(self, count: int) -> Run:
        return told(f"Flask-Mail, {count:,}", peers.flask_mail(count))

    def send(self, count: int) -> Run:
        run = self.into_smtp_sink(self.installation(count), "SQLite")
        self.sent[count].append(run)
        return run

    def send_from_postgres(self, count: int) -> Run:
        return self.into_smtp_sink(self.on_postgres(count), "PostgreSQL")

    def on_postgres(self, count: int) -> Installation:
        return self.installation(count, self.postgres())

    def postgres(self) -> Server:
        self.server = self.server or self.stack.enter_context(private_server())
        return self.server

    def enlist(self, count: int) -> Usage:
        """`digest send` while there is no mail server: it writes everybody down and then gives up for now."""
        with fresh_copy(self.on_postgres(count)) as copy:
            usage = copy.mailer("digest", "send", copy.digest, "--yes", code=1, MAIL_PORT=free_port())
            status = json.loads(copy.mailer("digest", "status", copy.digest, "--json").output)
        if (status["enlisted"], status["queued"]) != (count, count):
            raise Failed(f"{status['enlisted']:,} people are enlisted instead of {count:,}: {status}")
        log(f"enlisted {count:,}, PostgreSQL: {usage.seconds:.2f} s, peak ≤ {usage.peak_mb:.0f} MB")
        return usage

    def send_by_workers(self, count: int, number: int) -> Run:
        with fresh_copy(self.on_postgres(count)) as copy, smtp_sink() as sink, workers.redis() as broker:
            run = workers.send(copy, sink.port, number, broker)
            sink.expect(count)
        return told(f"{number} of Celery's workers, {count:,}, PostgreSQL", run)

    def send_slowly_by_workers(self, count: int, number: int, delay: float) -> Run:
        with fresh_copy(self.on_postgres(count)) as copy, stamping_sink(delay) as sink, workers.redis() as broker:
            run = workers.send(copy, sink.port, number, broker)
            sink.finish().expect(count)
        return told(f"{number} of Celery's workers, {count:,}, replies after {delay * 1000:.0f} ms", run)

    def send_without_pipelining(self, count: int) -> Run:
        return self.into_smtp_sink(self.installation(count), "SQLite, no PIPELINING", "-p")

    def into_smtp_sink(self, prepared: Installation, how: str, *options: str) -> Run:
        with fresh_copy(prepared) as copy, smtp_sink(*options) as sink:
            usage = copy.send(sink.port)
            sink.expect(copy.count)
        return told(f"mailer, {copy.count:,}, {how}", Run(copy.count, usage.seconds, usage))

    def into_stamping_sink(self, count: int, delay: float) -> tuple[Run, Taken]:
        with fresh_copy(self.installation(count)) as copy, stamping_sink(delay) as sink:
            usage = copy.send(sink.port)
            taken = sink.finish()
            taken.expect(count)
        return told(f"mailer, {count:,}, replies after {delay * 1000:.0f} ms", Run(count, usage.seconds, usage)), taken

    def under_load(self, prepared: Installation, load: Callable[[Installation, SmtpSink], Answers]) -> Answers:
        with fresh_copy(prepared) as copy, smtp_sink() as sink:
            answers = load(copy, sink)
        log(f"{load.__name__}, {len(answers.found):,} beside {prepared.count:,} people: {answers}")
        return answers

    def version_seconds(self) -> float:
        """How long the command takes that does nothing."""
        return Installation(self.folder, 0).mailer("--version").seconds

    def sends(self, count: int) -> list[Run]:
        """The plain runs of this sitting, as many more as it takes."""
        while len(self.sent[count]) < self.runs:
            self.send(count)
        return self.sent[count]

    def installation(self, count: int, server: Server | None = None) -> Installation:
        kind = "PostgreSQL" if server else "SQLite"
        if (kind, count) not in self.prepared:
            self.prepared[kind, count] = self.prepare(count, server)
        return self.prepared[kind, count]

    def prepare(self, count: int, server: Server | None = None) -> Installation:
        new = prepare(self.folder, count, server)
        log(f"imported {count:,} people in {new.import_seconds:.1f} s")
        return new


def told(what: str, run: Run) -> Run:
    """Every run is told as it ends, whatever becomes of the others."""
    used = f"CPU {run.usage.cpu:.2f} s, peak ≤ {run.usage.peak_mb:.0f} MB"
    log(f"{what}: {run.rate:,.0f} msg/s, {run.seconds:.2f} s, {used}")
    return run
