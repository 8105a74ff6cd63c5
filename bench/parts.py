"""The measurements by name: what each of them runs, and what it makes of the runs."""

import shutil
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from . import rendering, web
from .installation import Installation
from .peers import Run
from .processes import Failed
from .sitting import Sitting
from .table import Row, Spread, spread

DELAY = 0.05
SESSIONS = 4  # the default of SEND_SESSIONS
PEAK_MB = 100
STARTS = 5


def rates(runs: Iterable[Run]) -> Spread:
    return spread((run.rate for run in runs), "msg/s")


def peaks(runs: Iterable[Run]) -> Spread:
    return spread((run.usage.peak_mb for run in runs), "MB")


def compare(ours: Sequence[Run], name: str, theirs: Sequence[Run]) -> tuple[float, str]:
    """Our median over theirs, and the words that show both."""
    ratio = rates(ours).median / rates(theirs).median
    return ratio, f"{rates(ours)}; {name} {rates(theirs)}: **{ratio:.2f} ×**"


def rod(sitting: Sitting, count: int) -> list[Row]:
    (runs,) = sitting.in_turn(lambda: sitting.rod(count))
    return [Row("rod", f"`smtp-source -d -s 10 -l 10240 -m {count}`", "", str(rates(runs)))]


def sqlite(sitting: Sitting, count: int) -> list[Row]:
    rods, ours = sitting.in_turn(lambda: sitting.rod(count), lambda: sitting.send(count))
    return [against_rod(f"sqlite-{count}", f"`digest send` to {count:,}, SQLite", ours, rods, count)]


def postgresql(sitting: Sitting, count: int) -> list[Row]:
    rods, ours = sitting.in_turn(lambda: sitting.rod(count), lambda: sitting.send_from_postgres(count))
    return [against_rod(f"postgresql-{count}", f"`digest send` to {count:,}, PostgreSQL", ours, rods, count)]


GOALS = {"sqlite-100000": 1.25, "sqlite-20000": 0.9, "postgresql-100000": 1.0}


def against_rod(part: str, what: str, ours: Sequence[Run], rods: Sequence[Run], count: int) -> Row:
    ratio, words = compare(ours, f"`smtp-source -m {count}`", rods)
    goal = GOALS.get(part)
    return Row(part, what, f"≥ {goal} × smtp-source" if goal else "", words, ratio >= goal if goal else None)


def flask_mail(sitting: Sitting, count: int) -> list[Row]:
    """Ours to fifty times as many, for a loop of seconds has no start to make up for."""
    theirs, ours = sitting.in_turn(lambda: sitting.flask_mail(count), lambda: sitting.send(50 * count))
    ratio, words = compare(ours, f"Flask-Mail, {count:,},", theirs)
    what = f"`digest send` to {50 * count:,} against a loop of Flask-Mail"
    return [Row("flask-mail", what, "≥ 35 × Flask-Mail", words, ratio >= 35)]


def latency(sitting: Sitting, count: int) -> list[Row]:
    """Of the wire time, the first message of each session is the beginning and not counted."""
    (runs,) = sitting.in_turn(lambda: sitting.into_stamping_sink(count, DELAY))
    whole = rates(run for run, _ in runs)
    wire = spread(((count - SESSIONS) / (taken.last - taken.first) for _, taken in runs), "msg/s", 1)
    goal = 0.95 * SESSIONS / DELAY
    what = f"{DELAY * 1000:.0f} ms before every reply, {count:,}"
    return [
        Row("latency-50ms", f"{what}, whole command", f"≥ {goal:.0f} msg/s", str(whole), whole.median >= goal),
        Row("latency-50ms", f"{what}, first to last message", f"≥ {goal:.0f} msg/s", str(wire), wire.median >= goal),
    ]


def no_pipelining(sitting: Sitting, count: int) -> list[Row]:
    joined, plain = sitting.in_turn(lambda: sitting.send(count), lambda: sitting.send_without_pipelining(count))
    ratio, words = compare(plain, "pipelined", joined)
    what = f"`digest send` to {count:,}, no PIPELINING offered"
    return [Row("no-pipelining", what, "≥ 0.25 × pipelined", words, ratio >= 0.25)]


def memory(sitting: Sitting, count: int) -> list[Row]:
    """The greatest of the runs has to keep within the goal."""
    found = peaks(sitting.sends(count))
    return [Row("memory", f"peak of the sender at {count:,}", f"≤ {PEAK_MB} MB", str(found), found.high <= PEAK_MB)]


def million(sitting: Sitting, count: int) -> list[Row]:
    """One run; what a message costs in it, against a tenth as many."""
    small, large = sitting.sends(count // 10), sitting.send(count)
    peak = peaks([large])
    return [
        dearer("whole command", [run.seconds / run.count for run in small], large.seconds / count, count),
        dearer("sender's CPU", [run.usage.cpu / run.count for run in small], large.usage.cpu / count, count),
        Row("million", f"peak of the sender at {count:,}", f"≤ {PEAK_MB} MB", str(peak), peak.high <= PEAK_MB),
    ]


def dearer(what: str, small: Sequence[float], large: float, count: int) -> Row:
    before = spread((1e6 * each for each in small), "µs", 1)
    ratio = 1e6 * large / before.median
    words = f"{1e6 * large:,.1f} µs; at {count // 10:,} {before}: **{ratio:.2f} ×**"
    return Row("million", f"{what} a message at {count:,}, SQLite", "≤ 1.15 ×", words, ratio <= 1.15)


def import_(sitting: Sitting, count: int) -> list[Row]:
    return [imported(sitting, "import", count, sitting.installation(count))]


def import_postgresql(sitting: Sitting, count: int) -> list[Row]:
    return [imported(sitting, "import-postgresql", count, sitting.on_postgres(count))]


def imported(sitting: Sitting, part: str, count: int, first: Installation) -> Row:
    """Into a new installation each time; the first is the one that this sitting sends from."""
    seconds = [first.import_seconds]
    for _ in range(sitting.runs - 1):
        new = sitting.prepare(count, first.server)
        seconds.append(new.import_seconds)
        shutil.rmtree(new.folder)
    found = spread(seconds, "s", 1)
    what = f"`subscriber import` of {count:,} rows, {first.kind}"
    return Row(part, what, "≤ 15 s", str(found), found.median <= 15)


def by_workers(sitting: Sitting, count: int) -> list[Row]:
    """At full speed the sink and the database share the workers' processors. Where the mail server takes its time, as
    most do, sessions are what there is too few of."""
    few = count // 50
    fast = sitting.in_turn(lambda: sitting.send_by_workers(count, 1), lambda: sitting.send_by_workers(count, 2))
    slow = sitting.in_turn(
        lambda: sitting.send_slowly_by_workers(few, 1, DELAY), lambda: sitting.send_slowly_by_workers(few, 2, DELAY)
    )
    found = ((count, "smtp-sink", fast), (few, f"{DELAY * 1000:.0f} ms before every reply", slow))
    return [
        Row("workers", f"two of Celery's workers, {size:,}, PostgreSQL, {what}", "", compare(two, "one", one)[1])
        for size, what, (one, two) in found
    ]


def enlist(sitting: Sitting, count: int) -> list[Row]:
    """The peak is that of a sender's start, whatever the number: nobody is held in its memory."""
    (many,) = sitting.in_turn(lambda: sitting.enlist(count))
    few = sitting.enlist(count // 100)
    seconds, peak = spread((each.seconds for each in many), "s", 1), spread((each.peak_mb for each in many), "MB")
    what = f"`digest send` to {count:,}, PostgreSQL, until it finds no mail server"
    flat = f"{peak}; for {count // 100:,} {few.peak_mb:.0f} MB"
    return [
        Row("enlist", what, "≤ 30 s", str(seconds), seconds.median <= 30),
        Row("enlist", f"its peak, {count:,} enlisted", "≤ 1.1 ×", flat, peak.high <= 1.1 * few.peak_mb),
    ]


def cpu(sitting: Sitting, count: int) -> list[Row]:
    """What so many more messages cost, so without start and end. The range is the widest that the runs allow."""
    small = [run.usage.cpu for run in sitting.sends(count // 5)]
    large = [run.usage.cpu for run in sitting.sends(count)]
    more = count - count // 5
    low, high = (min(large) - max(small)) / more * 1e6, (max(large) - min(small)) / more * 1e6
    found = Spread((statistics.median(large) - statistics.median(small)) / more * 1e6, low, high, "µs", 1)
    what = f"sender's CPU a message: (at {count:,} − at {count // 5:,}) / {more:,}"
    return [Row("cpu", what, "≤ 45 µs", str(found), found.median <= 45)]


def startup(sitting: Sitting, count: int) -> list[Row]:
    versions = spread((sitting.version_seconds() for _ in range(STARTS)), "s", 2)
    (runs,) = sitting.in_turn(lambda: sitting.into_stamping_sink(count, 0))
    first = spread((taken.first - run.usage.begun for run, taken in runs), "s", 2)
    what = f"start of `digest send` to the first whole message at the sink, {count:,}"
    return [
        Row("startup", "`mailer --version`", "≤ 0.3 s", str(versions), versions.median <= 0.3),
        Row("startup", what, "≤ 1 s", str(first), first.median <= 1),
    ]


def rendering_(sitting: Sitting, count: int) -> list[Row]:
    found = spread((rendering.seconds(sitting.folder, count) for _ in range(sitting.runs)), "s", 2)
    what = f"the letters of {count} announcements in {len(rendering.LANGUAGES)} languages, rendered"
    return [Row("rendering", what, "≤ 1 s", str(found), found.median <= 1)]


def sign_ups(sitting: Sitting, count: int) -> list[Row]:
    """Who is told at once to come again is not lost, and yet has to come again."""
    (runs,) = sitting.in_turn(lambda: sitting.under_load(sitting.installation(count), web.sign_ups))
    offered, taken = web.RATE * web.SECONDS, [run.count("200") for run in runs]
    found = spread((run.percentile(99) for run in runs), "ms")
    what = f"{web.RATE} sign-ups a second for {web.SECONDS} s beside {count:,}, SQLite: p99; none lost"
    told = "" if min(taken) == offered else ", the others told to come again"
    words = f"{found}; of {offered:,} {spread(taken, 'taken in')}{told}"
    return [Row("sign-ups", what, "< 250 ms, all taken in", words, found.high < 250 and min(taken) == offered)]


def flood(sitting: Sitting, count: int) -> list[Row]:
    """Every sign-up is answered, by a letter or by a word that there is no time for it now."""
    (runs,) = sitting.in_turn(lambda: sitting.under_load(sitting.on_postgres(count), web.flood))
    offered = web.FLOOD_RATE * web.FLOOD_SECONDS
    taken, refused = [run.count("200") for run in runs], [run.count("503") for run in runs]
    others = offered - min(one + other for one, other in zip(taken, refused, strict=True))
    what = f"{web.FLOOD_RATE:,} sign-ups a second for {web.FLOOD_SECONDS} s, PostgreSQL, 2 gunicorn processes"
    words = f"{spread(taken, 'taken in')}, {spread(refused, 'told to come again')}, {others:,} other; none lost"
    return [
        Row("flood", what, "0 other", words, others == 0),
        *(
            percentiles("flood", f"{what}: {name}", "", [run.only(code) for run in runs])
            for code, name in FLOOD.items()
        ),
    ]


FLOOD = {"200": "those that were taken in", "503": "those that were told to come again"}


def visits(sitting: Sitting, count: int) -> list[Row]:
    (runs,) = sitting.in_turn(lambda: sitting.under_load(sitting.on_postgres(count), web.coming_and_going))
    what = f"{web.VISIT_RATE} confirmations and unsubscribes a second while a digest goes to {count:,}, PostgreSQL"
    row = percentiles("visits", f"{what}, 2 gunicorn processes", "p99 ≤ 250 ms", runs)
    return [replace(row, reached=all(run.percentile(99) <= 250 for run in runs))]


def percentiles(part: str, what: str, goal: str, runs: Sequence[web.Answers]) -> Row:
    found = (f"p{each} {spread((run.percentile(each) for run in runs), 'ms')}" for each in (50, 95, 99))
    return Row(part, what, goal, ", ".join(found))


def one_click(sitting: Sitting, count: int) -> list[Row]:
    (runs,) = sitting.in_turn(lambda: sitting.under_load(sitting.installation(count), web.one_clicks))
    what = f"one-click unsubscribe while a digest goes to {count:,}, SQLite: p99"
    return [slowest("one-click", what, 100, runs)]


def slowest(part: str, what: str, goal: int, runs: Sequence[web.Answers]) -> Row:
    """Every run has to keep within the goal."""
    found = spread((run.percentile(99) for run in runs), "ms")
    return Row(part, what, f"< {goal} ms", str(found), found.high < goal)


@dataclass(frozen=True)
class Part:
    """A measurement, and the numbers of people that its goal is for: the first is what it runs with by default."""

    measure: Callable[[Sitting, int], list[Row]]
    counts: tuple[int, ...]
    needs_postgres: bool = False


PARTS = {
    "rod": Part(rod, (100_000,)),
    "sqlite": Part(sqlite, (100_000, 20_000)),
    "postgresql": Part(postgresql, (100_000,), needs_postgres=True),
    "no-pipelining": Part(no_pipelining, (20_000,)),
    "flask-mail": Part(flask_mail, (2_000,)),
    "latency-50ms": Part(latency, (2_000,)),
    "memory": Part(memory, (20_000,)),
    "cpu": Part(cpu, (100_000,)),
    "import": Part(import_, (100_000,)),
    "import-postgresql": Part(import_postgresql, (100_000,), needs_postgres=True),
    "startup": Part(startup, (20_000,)),
    "rendering": Part(rendering_, (20,)),
    "sign-ups": Part(sign_ups, (100_000,)),
    "one-click": Part(one_click, (100_000,)),
    "visits": Part(visits, (100_000,), needs_postgres=True),
    "flood": Part(flood, (100_000,), needs_postgres=True),
    "million": Part(million, (1_000_000,)),
    "workers": Part(by_workers, (100_000,), needs_postgres=True),
    "enlist": Part(enlist, (1_000_000,), needs_postgres=True),
}
USUAL = (
    *("rod", "sqlite-100000", "sqlite-20000", "postgresql-100000", "no-pipelining", "flask-mail"),
    *("latency-50ms", "memory", "cpu", "import", "import-postgresql", "startup", "rendering"),
    *("sign-ups", "one-click", "visits", "flood"),
)


@dataclass(frozen=True)
class Chosen:
    """A part with a number of people: `sqlite-2000`, or `sqlite` for its usual number."""

    part: Part
    subject: str
    count: int

    def measure(self, sitting: Sitting) -> list[Row]:
        rows = self.part.measure(sitting, self.count)
        return rows if self.count in self.part.counts else [replace(row, reached=None) for row in rows]


def choose(name: str) -> Chosen:
    """Raises Failed for a name that is no part's."""
    subject, _, digits = name.rpartition("-")
    if name in PARTS:
        return Chosen(PARTS[name], name, PARTS[name].counts[0])
    if subject in PARTS and digits.isdecimal() and int(digits) > 0:
        return Chosen(PARTS[subject], subject, int(digits))
    raise Failed(f"there is no part {name!r}; there are {', '.join(PARTS)}, each also with a number: sqlite-2000")
