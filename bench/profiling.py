"""Where the sender's processor time goes.

    apt install linux-perf; pip install py-spy
    python -m bench.profiling [COUNT]

Two runs of `mailer digest send` to COUNT people (default: 100,000), from start to end. In one perf counts in which
library the processor is, in the other py-spy looks, without stopping it, at what the thread does that has the
interpreter: each look counts for the innermost function of ours. What loads our modules is left out of the second.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from .installation import command, prepare
from .processes import Failed, log, measure
from .sinks import smtp_sink

SPY = ("py-spy", "record", "--nonblocking", "--gil", "--rate", "250", "--format", "raw", "--output")
PERF = ("perf", "record", "--quiet", "--event", "cpu-clock", "--freq", "999", "--output")
REPORT = ("perf", "report", "--stdio", "--sort", "dso", "--input")
LEAST = 1.0  # percent that is worth a line
SHARE = re.compile(r"\s+(\d+\.\d+)%\s+(\S+)")
FRAME = re.compile(r"(?P<function>\S+) \((?P<file>.+?)(?::\d+)?\)")
OURS = re.compile(r"(?:.*/)?(mailer/[\w/]+)\.py")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if missing := [each for each in ("perf", "py-spy") if not shutil.which(each)]:
        sys.exit(f"bench: there is no {' and no '.join(missing)}")
    try:
        with TemporaryDirectory(prefix="mailer-profile-") as folder:
            libraries, functions = by_library(Path(folder), count), by_function(Path(folder), count)
    except Failed as error:
        sys.exit(f"bench: {error}")
    print(table("library", libraries), table("function, of the interpreter's time", functions), sep="\n\n")


def by_library(folder: Path, count: int) -> Mapping[str, float]:
    found = folder / "perf.data"
    send(folder, count, *PERF, str(found), "--")
    report = subprocess.run([*REPORT, str(found)], capture_output=True, text=True, check=True).stdout
    return {shared[2]: float(shared[1]) for line in report.splitlines() if (shared := SHARE.match(line))}


def by_function(folder: Path, count: int) -> Mapping[str, float]:
    found = folder / "spy.txt"
    send(folder, count, *SPY, str(found), "--", sys.executable)
    looks: Counter[str] = Counter()
    for line in found.read_text(encoding="utf-8").splitlines():
        stack, _, number = line.rpartition(" ")
        if not (name := innermost(stack)).endswith("<module>"):
            looks[name] += int(number)
    return {name: 100 * number / looks.total() for name, number in looks.items()}


def send(folder: Path, count: int, *profiler: str) -> None:
    log(f"{profiler[0]}, {count:,}")
    new = prepare(folder, count)
    with smtp_sink() as sink:
        program = [*profiler, command(), "digest", "send", new.digest, "--yes"]
        measure(program, new.folder, new.environment(MAIL_PORT=sink.port))
        sink.expect(count)


def innermost(stack: str) -> str:
    """The last function of ours on a stack, as `module.function`; the interpreter's own work if there is none."""
    for frame in reversed(stack.split(";")):
        if (found := FRAME.fullmatch(frame)) and (ours := OURS.fullmatch(found["file"])):
            return f"{ours[1].replace('/', '.')}.{found['function']}"
    return "the interpreter, and libraries by themselves"


def table(what: str, shares: Mapping[str, float]) -> str:
    """In Markdown, the dearest first."""
    shown = sorted((item for item in shares.items() if item[1] >= LEAST), key=lambda item: -item[1])
    lines = [f"| {what} | share |", "| --- | --- |", *(f"| {name} | {share:.1f} % |" for name, share in shown)]
    lines.append(f"| all others | {100 - sum(share for _, share in shown):.1f} % |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
