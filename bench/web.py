"""The site under load: sign-ups at a fixed rate, one-click unsubscribes while a digest goes out."""

import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from .ground import free_port
from .installation import Installation, command
from .processes import ROOT, Failed, running
from .sinks import SmtpSink, wait_for

# A flood from one machine is what limits are there to stop.
NO_LIMITS = {
    **{f"LIMIT_{name}": "" for name in ("ADDRESS", "CLIENT", "NETWORK", "DOMAIN", "ALL", "WAITING")},
    "ATTACK_RATIO": 0,
}
RATE, SECONDS = 200, 30
FLOOD_RATE, FLOOD_SECONDS = 1000, 20
VISIT_RATE, FIRST = 100, 100
NICE = 10
UNSUBSCRIBE_RATE = 40


@dataclass(frozen=True)
class Answers:
    """What became of requests: the status and the milliseconds of each, in their order."""

    found: Sequence[tuple[str, float]]

    @property
    def statuses(self) -> dict[str, int]:
        return dict(Counter(status for status, _ in self.found))

    def count(self, status: str) -> int:
        return self.statuses.get(status, 0)

    def only(self, status: str) -> "Answers":
        return Answers([each for each in self.found if each[0] == status])

    def percentile(self, percent: float) -> float:
        milliseconds = sorted(ms for _, ms in self.found)
        return milliseconds[max(0, math.ceil(len(milliseconds) * percent / 100) - 1)] if milliseconds else math.nan

    def __str__(self) -> str:
        shown = (f"p{percent} {self.percentile(percent):,.0f} ms" for percent in (50, 95, 99))
        return f"{self.statuses} {', '.join(shown)}, longest {self.percentile(100):,.0f} ms"


@contextmanager
def served(installation: Installation, **settings: object) -> Iterator[int]:
    """`mailer serve` as installed; its port."""
    port = free_port()
    with started(installation, [command(), "serve", "--port", str(port)], **settings) as process:
        wait_for(port, process)
        yield port


@contextmanager
def served_by_gunicorn(installation: Installation, **settings: object) -> Iterator[int]:
    """Two processes as docs/ has them, and `mailer work` beside them; their port."""
    port = free_port()
    bind = ["--workers", "2", "--bind", f"127.0.0.1:{port}", "mailer.app:create_app()"]
    site = [command("gunicorn"), "--config", str(ROOT / "docs" / "gunicorn.conf.py"), "--log-level", "error", *bind]
    with started(installation, site, **settings) as process, started(installation, [command(), "work"], **settings):
        wait_for(port, process)
        yield port


@contextmanager
def started(installation: Installation, program: Sequence[str], **settings: object) -> Iterator[subprocess.Popen[str]]:
    place = {"cwd": installation.folder, "env": installation.environment(**settings)}
    with running(program, **place, stdout=subprocess.DEVNULL, stderr=sys.stderr) as process:
        yield process


def arrivals(port: int, rate: float, requests: Sequence[str]) -> Answers:
    """Send the requests at the rate, from another process."""
    asked = subprocess.run(
        [sys.executable, "-m", "bench.arrivals", str(port), str(rate)],
        input="\n".join(requests),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if asked.returncode:
        raise Failed(f"the load generator failed: {asked.stderr.strip()[-300:]}")
    return Answers([(status, ms) for status, ms in json.loads(asked.stdout)])


def sign_ups(copy: Installation, sink: SmtpSink) -> Answers:
    with served(copy, **NO_LIMITS, MAIL_PORT=sink.port) as port:
        return sign_up(copy, sink, port, RATE, SECONDS)


def flood(copy: Installation, sink: SmtpSink) -> Answers:
    with served_by_gunicorn(copy, **NO_LIMITS, MAIL_PORT=sink.port) as port:
        return sign_up(copy, sink, port, FLOOD_RATE, FLOOD_SECONDS)


def sign_up(copy: Installation, sink: SmtpSink, port: int, rate: int, seconds: int) -> Answers:
    """Raises Failed unless everybody whose sign-up was answered with 200 is there, and everybody who is there has
    exactly one letter. One that was not answered in time counts by how long it waited in vain."""
    emails = [f"new{number:06}@example.org" for number in range(rate * seconds)]
    fields = [f"/subscribe email={email.replace('@', '%40')}&language=en" for email in emails]
    answers = arrivals(port, rate, fields)
    deadline = time.monotonic() + 60
    while sink.messages() < answers.count("200") and time.monotonic() < deadline:
        time.sleep(0.1)
    copy.mailer("run-due", MAIL_PORT=sink.port)  # the letters of those who were there and not answered
    listed = copy.mailer("subscriber", "export", "--state", "pending").output.splitlines()[1:]
    there = {line.split(",")[0] for line in listed}
    promised = {email for email, (status, _) in zip(emails, answers.found, strict=True) if status == "200"}
    if not promised <= there:
        raise Failed(f"of {len(promised):,} sign-ups that were answered {len(promised - there):,} are not there")
    sink.expect(len(there))
    return answers


def one_clicks(copy: Installation, sink: SmtpSink) -> Answers:
    """Unsubscribes for as long as a digest goes out. Raises Failed unless each counts."""
    requests = leaving(copy, 2000)
    with served(copy, MAIL_PORT=sink.port) as port:
        answers = during_a_digest(copy, sink, port, UNSUBSCRIBE_RATE, requests)
    ended = json.loads(copy.mailer("stats", "--json").output)["ended"]
    if ended != len(answers.found):
        raise Failed(f"of {len(answers.found):,} who left, {ended:,} are gone")
    return answers


def coming_and_going(copy: Installation, sink: SmtpSink) -> Answers:
    """Confirmations and unsubscribes in turn for as long as a digest goes out. Raises Failed unless each counts."""
    count = VISIT_RATE * 60
    pending = copy.folder / "pending.csv"
    rows = "".join(f"pending{number:06}@example.org,pending\n" for number in range(count))
    pending.write_text(f"email,state\n{rows}", encoding="utf-8")
    copy.mailer("subscriber", "import", pending.name, "--basis", "a benchmark")
    confirming = [f"/confirm/{token} x=" for token in tokens(copy, "confirm", count)]
    requests = [each for pair in zip(confirming, leaving(copy, count), strict=False) for each in pair]
    with served_by_gunicorn(copy, MAIL_PORT=sink.port) as port:
        first = arrivals(port, VISIT_RATE // 4, requests[:FIRST])  # a site that has been there for a while
        answers = during_a_digest(copy, sink, port, VISIT_RATE, requests[FIRST:])
    every = Answers([*first.found, *answers.found])
    asked, stats = len(every.found), json.loads(copy.mailer("stats", "--json").output)
    if (stats["ended"], stats["pending"]) != (asked // 2, count - asked // 2) or every.count("200") != asked:
        raise Failed(f"of {asked:,} who confirmed or left, {stats['ended']:,} are gone: {every.statuses}, {stats}")
    return answers


def leaving(copy: Installation, count: int) -> list[str]:
    return [f"/unsubscribe/{token} List-Unsubscribe=One-Click" for token in tokens(copy, "unsubscribe", count)]


def tokens(copy: Installation, purpose: str, count: int) -> list[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "bench.tokens", purpose, str(count)],
        capture_output=True,
        text=True,
        check=True,
        cwd=copy.folder,
        env={**copy.environment(), "PYTHONPATH": str(ROOT)},
    )
    return listed.stdout.split()


def during_a_digest(copy: Installation, sink: SmtpSink, port: int, rate: int, requests: Sequence[str]) -> Answers:
    """As many of the requests as come between a digest's first letter and its last. Its sender lets visitors go first,
    as docs/systemd/ has it."""
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(copy.mailer, "digest", "send", copy.digest, "--yes", nice=NICE, MAIL_PORT=sink.port)
        while not sink.messages() and not sending.done():
            time.sleep(0.02)
        found: list[tuple[str, float]] = []
        while not sending.done() and len(found) < len(requests):
            found += arrivals(port, rate, requests[len(found) : len(found) + 2 * rate]).found
        sending.result()
    return Answers(found)
