"""Too many requests: who has to prove that they are no robot gets what they sent back, to send it with the proof."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import format_timedelta, gettext

from mailer.errors import NotFound, ProofWanted, TooMany
from mailer.subscriptions import proof
from mailer.web import pages

SOLUTION, WAITING = "altcha", "waiting"
# The widget's script and its workers, on this page only.
POLICY = pages.policy(script="'self'", worker="'self'")


def brought(given: Mapping[str, Any]) -> tuple[str, str]:
    """The proof that a form or a JSON object brings along: the solved work, the ticket of a wait."""
    solution, waiting = given.get(SOLUTION), given.get(WAITING)
    return solution if isinstance(solution, str) else "", waiting if isinstance(waiting, str) else ""


def ask_for_proof(wanted: ProofWanted) -> ResponseReturnValue:
    """The same form once more, already filled in, with the work to do. Without scripts it asks for patience."""
    waiting, seconds = wait_of(wanted.key)
    page = render_template(
        "pages/prove.html",
        kept=[each for each in request.form.items(multi=True) if each[0] not in (SOLUTION, WAITING)],
        challenge=proof.challenge(wanted.key),
        words=json.dumps(words()),
        tried=bool(request.form.get(SOLUTION)),
        waiting=waiting,
        time=in_words(seconds),
    )
    return Response(page, wanted.status, headers={"Content-Security-Policy": POLICY})


def wait_of(key: str) -> tuple[str, int]:
    """The ticket of this wait and the seconds left: who comes back too early goes on waiting, not from the start."""
    given = request.form.get(WAITING, "")
    try:
        return given, proof.still_to_wait(key, given)
    except NotFound:
        fresh = proof.ticket(key)
        return fresh, proof.still_to_wait(key, fresh)


def refuse(refusal: TooMany) -> ResponseReturnValue:
    """An honest no, and when to come back."""
    page = render_template("pages/too_many.html", time=in_words(refusal.seconds))
    return Response(page, refusal.status, headers={"Retry-After": str(refusal.seconds)})


def in_words(seconds: int) -> str:
    """`20 minutes`; rounded up, so that nobody comes back too early."""
    unit = 60 if seconds > 90 else 1
    words: str = format_timedelta(timedelta(seconds=-(-seconds // unit) * unit), threshold=2)
    return words


def words() -> dict[str, str]:
    """What the widget says."""
    return {
        "error": gettext("That did not work. Reload the page and try again."),
        "expired": gettext("That took too long. Please try once more."),
        "label": gettext("I am not a robot"),
        "verificationRequired": gettext("Please wait until this is done."),
        "verified": gettext("Done"),
        "verifying": gettext("One moment, please"),
        "waitAlert": gettext("Please wait until this is done."),
    }
