"""One experiment: an installation, a scripted mail server, blows at random instants, and the check of what remains.

result = experiment(workshop, Kind.KILL, seed=7)
assert not result.problems
"""

import contextlib
import random
import re
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .check import DOUBT, Facts, problems
from .cluster import Cluster
from .mail_server import MailServer
from .plan import LETTER_BYTES, Aim, Blow, Kind, Plan, Target, draw
from .product import CommandFailed, Product, kill
from .workshop import Workshop

RUN_SECONDS = 90.0  # longest that one `digest send` may take: an experiment ends there
MOST_RUNS = 15  # beyond those that are struck: a server in trouble ends many
BUSY_SECONDS = 0.3  # PostgreSQL notices a killed client a moment later, and keeps its lock until then
MAIL_TIMEOUT = 20  # far beyond any pause of the server's: silence alone must put no letter in doubt
LONGEST, PLACES = 300, 6  # of what is told of an error
LOOK_SECONDS = 0.002
BUSY = 3
DIGEST = "1"


@dataclass
class Result:
    """What came of one experiment."""

    kind: Kind
    seed: int
    plan: str = ""
    problems: list[str] = field(default_factory=list)
    blows: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(
        default_factory=Counter
    )  # what sessions were at when the sender or the database was killed
    messages: int = 0
    unknown: int = 0
    resent: int = 0  # how many letters were queued again by hand
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return self.named("lost")

    @property
    def doubled(self) -> int:
        return self.named("doubled")

    def named(self, rule: str) -> int:
        return sum(each.startswith(f"{rule}: ") for each in self.problems)


@dataclass
class Strike:
    """Something to be done to a run, once `due` says so."""

    due: Callable[[], bool]
    do: Callable[[], None]


class Hangs(Exception):
    pass


class Experiment:
    def __init__(self, workshop: Workshop, plan: Plan, product: Product, server: MailServer, doubt: int) -> None:
        self.workshop, self.plan, self.product, self.server, self.doubt = workshop, plan, product, server, doubt
        self.result = Result(plan.kind, plan.seed, str(plan))
        self.retried: Counter[str] = Counter()
        self.strikes: list[Strike] = []
        self.repairs: list[Strike] = []
        self.process: subprocess.Popen[str] | None = None
        self.companions: list[subprocess.Popen[str]] = []
        self.chance = random.Random(plan.seed)
        self.killed = False

    def play(self) -> Result:
        """Send, through all blows, to the end; check; sometimes send the doubtful again and check again."""
        self.send(self.plan.runs)
        self.check()
        if self.plan.retries and not self.plan.resend and not self.result.problems:
            self.send_doubtful_again()
        return self.result

    def send_doubtful_again(self) -> None:
        doubtful = [row["email"] for row in self.product.json("digest", "report", DIGEST) if row["state"] == "unknown"]
        if not doubtful:
            return
        self.product.run("digest", "retry", DIGEST, "--unknown")
        self.retried.update(doubtful)
        self.result.resent += len(doubtful)
        self.server.faults = "quiet"
        self.server.restart()
        self.send(self.plan.runs[:1] if self.plan.kills_retry else ())
        self.check()

    # Sending.

    def send(self, runs: Sequence[tuple[Blow, ...]]) -> None:
        """`digest send`, again and again, until it ends by itself with nothing left to do."""
        for number in range(len(runs) + MOST_RUNS):
            struck = runs[number] if number < len(runs) else ()
            said = self.run_once(struck)
            if said is not None and self.settled(*said):
                return
        self.problem(f"unsettled after {len(runs) + MOST_RUNS} runs")

    def run_once(self, blows: Sequence[Blow]) -> tuple[int, str] | None:
        """One run: its exit code and what it said on stderr, or None if it was killed."""
        begun, connections = time.monotonic(), self.server.connections()
        self.killed = False
        self.process = self.product.start("digest", "send", DIGEST, "--yes")
        seats = range(1, self.plan.companions + 1)
        self.companions = [self.product.spawn("tests.chaos.companion", DIGEST, str(seat)) for seat in seats]
        self.strikes = [Strike(self.trigger(blow), self.action(blow, connections)) for blow in blows]
        try:
            while self.at_work():
                self.strike()
                if time.monotonic() - begun > RUN_SECONDS:
                    raise Hangs(f"a run took more than {RUN_SECONDS:.0f} s")
                time.sleep(LOOK_SECONDS)
        finally:
            for process in self.at_work():
                kill(process)
            _, said = self.process.communicate()
            for companion in self.companions:
                self.hear_out(companion)
            self.repair()
        return None if self.killed else (self.process.returncode, said)

    def at_work(self) -> list[subprocess.Popen[str]]:
        return [each for each in (self.process, *self.companions) if each and each.poll() is None]

    def hear_out(self, companion: subprocess.Popen[str]) -> None:
        _, said = companion.communicate()
        if "Traceback" in said:
            self.problem(f"a companion said {in_short(said)}")

    def strike(self) -> None:
        for each in [strike for strike in self.strikes if strike.due()]:
            self.strikes.remove(each)
            each.do()

    def repair(self) -> None:
        """What a blow left undone when its run ended: the next run finds the machine as it should be."""
        for each in self.repairs:
            each.do()
        self.repairs.clear()

    def trigger(self, blow: Blow) -> Callable[[], bool]:
        """When this blow falls, for a run that begins now."""
        left = self.plan.size.people - len(self.server.record().copies)
        if blow.aim is Aim.WIRE:
            size = self.server.written + int(blow.fraction * left * LETTER_BYTES)
            return lambda: self.server.written > size
        sending = self.plan.sending * left / self.plan.size.people
        at = time.monotonic() + blow.seconds(self.workshop.startup, sending)
        return lambda: time.monotonic() >= at

    def action(self, blow: Blow, connections: int) -> Callable[[], None]:
        server = self.server

        def cluster() -> Cluster:  # only where there is one
            return self.workshop.cluster

        return {
            Target.SENDER: lambda: self.kill_sender(connections),
            Target.SERVER: lambda: self.stop(blow, connections, server.kill, server.start),
            Target.DATABASE: lambda: self.stop(blow, connections, cluster().stop, cluster().start),
            Target.DISK: lambda: self.fill_disk(blow),
        }[blow.target]

    def kill_sender(self, connections: int) -> None:
        """One of those at work."""
        size = self.server.written
        if not (candidates := self.at_work()):
            return
        struck = self.chance.choice(candidates)
        kill(struck)
        if struck.wait() < 0:
            self.killed = self.killed or struck is self.process
            self.count(Target.SENDER, size, connections)

    def stop(self, blow: Blow, connections: int, stop: Callable[[], None], start: Callable[[], None]) -> None:
        """Down at once, up again after a while or when the run has ended."""
        size = self.server.written
        stop()
        self.count(blow.target, size, connections)
        at = time.monotonic() + blow.downtime
        self.strikes.append(Strike(lambda: time.monotonic() >= at, start))
        self.repairs.append(Strike(lambda: True, start))

    def count(self, target: Target, written: int, connections: int) -> None:
        self.result.blows[target] += 1
        if target in (Target.SENDER, Target.DATABASE):
            self.result.phases += self.server.record(written).phases(connections)

    def fill_disk(self, blow: Blow) -> None:
        assert self.process
        self.result.blows[Target.DISK] += 1
        if self.plan.megabytes:
            ballast = self.product.folder / "ballast"
            fill(ballast, blow.room)
            self.repairs.append(Strike(lambda: True, lambda: ballast.unlink(missing_ok=True)))
            return
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (blow.room, hard))

    # Looking.

    def settled(self, code: int, said: str) -> bool:
        """Whether a run that ended by itself left nothing to do; what it said must be one line for a person."""
        told = any(line.startswith("mailer: ") for line in said.splitlines())  # beside warnings of who died before
        if "Traceback" in said or code not in (0, 1, BUSY) or (code and not told):
            self.problem(f"a run ended with {code} and said {in_short(said)}")
        if code == BUSY:
            time.sleep(BUSY_SECONDS)
            return False
        status = self.product.json("digest", "status", DIGEST)
        done = not status["queued"] and not status["sending"] and (status["deferred"] or status["state"] == "sent")
        if code == 0 and not done:
            self.problem(f"a run ended with 0 and left {status}")
        return bool(done)

    def check(self) -> None:
        self.server.wait_until_quiet()
        record, result = self.server.record(), self.result
        facts = Facts(
            people=self.plan.size.addresses,
            status=self.product.json("digest", "status", DIGEST),
            report=self.product.json("digest", "report", DIGEST),
            record=record,
            sessions=self.plan.sessions,
            blows=result.blows.total(),
            resend=self.plan.resend,
            retried=self.retried,
            doubt=self.doubt,
        )
        result.problems += problems(facts)
        result.messages = record.stored
        if not self.retried:
            result.unknown = facts.status["unknown"]

    def problem(self, text: str) -> None:
        self.result.problems.append(text)


def in_short(said: str) -> str:
    """What a run said on stderr; of a traceback where it came from and what it was."""
    if "Traceback" not in said:
        return repr(said[:LONGEST])
    places = re.findall(r'^ *File ".*?(\w+/\w+\.py)", line (\d+), in (\w+)', said, re.MULTILINE)
    errors = re.findall(r"^\w[\w.]*: .*", said, re.MULTILINE)
    path = " < ".join(":".join(place) for place in reversed(places[-PLACES:]))
    return f"a traceback: {' … '.join(errors)[:LONGEST]} ({path})"


def fill(ballast: Path, room: int) -> None:
    """Take all the space there is but `room` bytes."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with ballast.open("r+b") as file:
        file.truncate(max(0, ballast.stat().st_size - room))


def experiment(workshop: Workshop, kind: Kind, seed: int, *, doubt: int = DOUBT, keep: Path | None = None) -> Result:
    """Raises nothing that is the product's doing: whatever goes wrong is among the result's problems."""
    begun = time.monotonic()
    plan = draw(kind, seed, tmpfs=kind is Kind.DISK and workshop.tmpfs_allowed)
    with stage(workshop, plan) as (product, server):
        trial = Experiment(workshop, plan, product, server, doubt)
        try:
            trial.play()
        except (CommandFailed, Hangs) as error:
            trial.problem(str(error))
            trial.result.problems += [f"odd: {each}" for each in sorted(set(server.record().odd))]
        if keep and trial.result.problems:
            put_aside(keep / f"{kind}-{seed}", product, server)
    trial.result.seconds = time.monotonic() - begun
    return trial.result


@contextlib.contextmanager
def stage(workshop: Workshop, plan: Plan) -> Iterator[tuple[Product, MailServer]]:
    settings = {
        "SEND_SESSIONS": plan.sessions,
        "SEND_RATE": plan.rate,
        "ON_UNKNOWN": "resend" if plan.resend else "hold",
        "MAIL_TIMEOUT": MAIL_TIMEOUT,
    }
    mail = workshop.folder / f"mail_{workshop.count}"
    with (
        MailServer(
            mail,
            seed=plan.seed,
            faults=plan.profile,
            pause=plan.pause,
            window=plan.window,
            pipelining=plan.pipelining,
        ) as server,
        workshop.installation(
            plan.size, plan.kind.database, megabytes=plan.megabytes, MAIL_PORT=server.port, **settings
        ) as product,
    ):
        yield product, server
    shutil.rmtree(mail)


def put_aside(place: Path, product: Product, server: MailServer) -> None:
    """The installation and the server's record, for whoever looks into a counterexample."""
    shutil.copytree(product.folder, place / "installation", dirs_exist_ok=True)
    shutil.copytree(server.folder, place / "mail", dirs_exist_ok=True)
