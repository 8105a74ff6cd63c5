"""`make bench`: a digest to N confirmed subscribers over loopback SMTP, the whole `mailer digest send` command.

    python -m bench.digest [N] [RUNS]

Prints a row per run and the median: seconds from the start of the process to its end, messages a second, peak memory of
the sending process. The sink is a process of its own; what it counted is checked against N in every run.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mailer.config import example, fresh_secret
from mailer.demo.instance import SAMPLES


class Failed(Exception):
    pass


def mailer(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mailer", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def prepare(folder: Path, count: int, port: int) -> str:
    """An installation with `count` confirmed subscribers and a draft; the draft's id."""
    settings = example(SECRET_KEY=fresh_secret(), MAIL_PORT=port, MAIL_DEFAULT_SENDER="news@lists.example.org")
    (folder / "mailer.toml").write_text(settings, encoding="utf-8")
    mailer(folder, "init")
    rows = "".join(f"person{number}@example.org\n" for number in range(count))
    (folder / "people.csv").write_text(f"email\n{rows}", encoding="utf-8")
    mailer(folder, "subscriber", "import", "people.csv", "--basis", "a benchmark")
    samples = [str(path) for path in sorted(SAMPLES.glob("*.md"))]
    return mailer(folder, "digest", "compose", *samples).splitlines()[-1]


def send(folder: Path, digest: str) -> tuple[float, float]:
    """Seconds of the whole command and its peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "mailer", "digest", "send", digest, "--yes"], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"digest send ended with {process.returncode}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def run(count: int) -> tuple[float, float, float]:
    """Seconds, peak MB and kilobytes a message of one run. Raises Failed if the sink did not get one copy for each."""
    sink = subprocess.Popen([sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE, text=True)
    assert sink.stdout
    with tempfile.TemporaryDirectory() as name:
        seconds, peak = send(Path(name), prepare(Path(name), count, int(sink.stdout.readline())))
    sink.send_signal(signal.SIGTERM)
    taken = json.loads(sink.communicate(timeout=10)[0])
    if not taken["messages"] == taken["recipients"] == taken["different"] == count:
        raise Failed(f"the sink took {taken} of {count}")
    return seconds, peak, taken["bytes"] / count / 1000


def main(count: int, runs: int) -> None:
    print(f"digest of 4 announcements to {count:,} confirmed subscribers, SQLite, 4 sessions, sink on loopback")
    print("run  seconds  messages/s  peak MB  kB/message")
    rates, peaks = [], []
    for number in range(1, runs + 1):
        seconds, peak, size = run(count)
        rates.append(count / seconds)
        peaks.append(peak)
        print(f"{number:>3}  {seconds:7.2f}  {count / seconds:10.0f}  {peak:7.0f}  {size:10.1f}", flush=True)
    low, high = min(rates), max(rates)
    print(f"median {statistics.median(rates):.0f} messages/s ({low:.0f}–{high:.0f}), peak {max(peaks):.0f} MB")


if __name__ == "__main__":
    main(*(int(word.replace(",", "")) for word in (*sys.argv[1:3], *("2000", "3")[len(sys.argv) - 1 :])))
