"""`mailer digest schedule`: digests that compose, approve and send themselves."""

from datetime import datetime

import click

from mailer import audit
from mailer.cli.common import as_json, say, with_app
from mailer.cli.looking import json_option, subject
from mailer.digests import schedule as schedules
from mailer.digests import sending
from mailer.digests.schedule import Standing
from mailer.localtime import local
from mailer.states import Frequency


@click.command()
@click.argument("frequency", type=click.Choice([each.value for each in Frequency]), required=False)
@click.option("--at", metavar="WHEN", help='"Sat 08:30" for weekly, "1 08:30" (day of the month) for monthly.')
@click.option("--off", is_flag=True, help="No more automatic digests of this frequency.")
@json_option
@with_app
def schedule(frequency: str | None, at: str | None, *, off: bool, wants_json: bool) -> None:
    """Let digests compose, approve and send themselves, in the list's time zone; alone, say what goes out when.

    `mailer serve` or `mailer run-due` does it. A digest holds what was added since the one before.

    \b
    Example:  mailer digest schedule weekly --at "Sat 08:30"
    """
    if frequency is None:
        if at or off:
            raise click.UsageError("say which: immediate, weekly or monthly")
        show_schedules(wants_json=wants_json)
        return
    if off:
        if at:
            raise click.UsageError("choose --at or --off")
        schedules.turn_off(Frequency(frequency))
        audit.note_now("digest schedule", f"{frequency} off")
        if wants_json:
            as_json({"frequency": frequency, "at": None, "next": None})
        else:
            say(f"{frequency} digests are no longer sent by themselves")
        return
    done = schedules.turn_on(Frequency(frequency), at)
    audit.note_now("digest schedule", f"{frequency} {done.at}".strip())
    if wants_json:
        as_json(schedule_json(done))
    else:
        say(schedule_line(done))


def show_schedules(*, wants_json: bool) -> None:
    """What goes out by itself, what was given a time, and what waits for a person."""
    own, dated, waiting = schedules.every(), sending.dated(), sending.stale()
    if wants_json:
        as_json(
            {
                "schedules": [schedule_json(each) for each in own],
                "digests": [{"digest": each.id, "at": each.scheduled_at} for each in dated],
                "waiting": [{"digest": each.id, "at": each.scheduled_at} for each in waiting],
            }
        )
        return
    lines = [schedule_line(each) for each in own]
    lines += [f"digest {each.id}  {local_time(each.scheduled_at)}  {subject(each)}" for each in dated]
    lines += [
        f"digest {each.id}  waits for you since {local_time(each.scheduled_at)}: 'mailer digest send {each.id}'"
        for each in waiting
    ]
    for line in lines or ["nothing is scheduled: 'mailer digest schedule weekly --at \"Sat 08:30\"' begins it"]:
        say(line)


def schedule_json(standing: Standing) -> dict[str, object]:
    return {"frequency": standing.frequency, "at": standing.at, "next": standing.next_at}


def schedule_line(standing: Standing) -> str:
    when = f"next {local_time(standing.next_at)}" if standing.next_at else "as soon as there is something"
    return f"{standing.frequency:<9}  {standing.at or '-':<9}  {when}"


def local_time(at: datetime | None) -> str:
    return f"{local(at):%a %Y-%m-%d %H:%M %Z}" if at else "-"
