"""The site under load: sign-ups at a fixed rate, one-click unsubscribes while a digest goes out."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from .ground import free_port
from .installation import Installation, command, environment
from .processes import ROOT, Failed, running
from .sinks import SmtpSink, wait_for

# A flood from one machine is what limits are there to stop.
NO_LIMITS = {
    **{f"LIMIT_{name}": "" for name in ("ADDRESS", "CLIENT", "NETWORK", "DOMAIN", "ALL", "WAITING")},
    "ATTACK_RATIO": 0,
}
RATE, SECONDS = 200, 30
UNSUBSCRIBE_RATE = 40


@dataclass(frozen=True)
class Answers:
    """What became of requests: milliseconds, sorted, and how many answers had each status."""

    milliseconds: Sequence[float]
    statuses: dict[str, int]

    def percentile(self, percent: float) -> float:
        return self.milliseconds[max(0, math.ceil(len(self.milliseconds) * percent / 100) - 1)]

    def __str__(self) -> str:
        shown = (f"p{percent} {self.percentile(percent):,.0f} ms" for percent in (50, 95, 99))
        return f"{self.statuses} {', '.join(shown)}, longest {self.milliseconds[-1]:,.0f} ms"


@contextmanager
def served(installation: Installation, **settings: object) -> Iterator[int]:
    """`mailer serve` as installed; its port."""
    port = free_port()
    server = [command(), "serve", "--port", str(port)]
    with running(
        server, cwd=installation.folder, env=environment(settings), stdout=subprocess.DEVNULL, stderr=sys.stderr
    ) as process:
        wait_for(port, process)
        yield port


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
    found = json.loads(asked.stdout)
    return Answers(sorted(found["milliseconds"]), found["statuses"])


def sign_ups(copy: Installation, sink: SmtpSink) -> Answers:
    """Raises Failed unless every sign-up that was answered with 200 is there, and every one that is there has its
    letter. One that was not answered in time counts by how long it waited in vain."""
    count = RATE * SECONDS
    fields = [f"/subscribe email=new{number:06}%40example.org&language=en" for number in range(count)]
    with served(copy, **NO_LIMITS, MAIL_PORT=sink.port) as port:
        answers = arrivals(port, RATE, fields)
        answered = answers.statuses.get("200", 0)
        deadline = time.monotonic() + 60
        while sink.messages() < answered and time.monotonic() < deadline:
            time.sleep(0.1)
    copy.mailer("run-due", MAIL_PORT=sink.port)  # the letters of those who were there and not answered
    pending = json.loads(copy.mailer("stats", "--json").output)["pending"]
    if pending < answered:
        raise Failed(f"of {answered:,} sign-ups that were answered {pending:,} are there")
    sink.expect(pending)
    return answers


def one_clicks(copy: Installation, sink: SmtpSink) -> Answers:
    """Unsubscribes for as long as a digest goes out. Raises Failed unless each counts."""
    listed = subprocess.run(
        [sys.executable, "-m", "bench.tokens", "2000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=copy.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    tokens = listed.stdout.split()
    with served(copy, MAIL_PORT=sink.port) as port, ThreadPoolExecutor() as pool:
        sending = pool.submit(copy.mailer, "digest", "send", copy.digest, "--yes", MAIL_PORT=sink.port)
        while not sink.messages() and not sending.done():
            time.sleep(0.02)
        every: list[Answers] = []
        while not sending.done() and tokens:
            batch, tokens = tokens[:UNSUBSCRIBE_RATE], tokens[UNSUBSCRIBE_RATE:]
            every.append(
                arrivals(port, UNSUBSCRIBE_RATE, [f"/unsubscribe/{each} List-Unsubscribe=One-Click" for each in batch])
            )
        sending.result()
    answers = Answers(sorted(ms for each in every for ms in each.milliseconds), {})
    asked = len(answers.milliseconds)
    ended = json.loads(copy.mailer("stats", "--json").output)["ended"]
    if ended != asked:
        raise Failed(f"of {asked:,} who left, {ended:,} are gone")
    return answers
