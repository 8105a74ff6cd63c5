"""Proof that somebody took trouble: ALTCHA's proof of work, done by the browser, or a wait where no scripts run.

Both are signed, bound to what they are asked for, good for a short time and, by `throttle`, once.
"""

import json
import secrets
from datetime import UTC, datetime, timedelta

import altcha

from mailer.config import settings
from mailer.db import now
from mailer.errors import NotFound
from mailer.links import Purpose, links
from mailer.subscriptions.throttle import Proof

LIFETIME = timedelta(minutes=10)
# The work is a number of keys to try, each of which costs `PROOF_COST` rounds. Known bounds: nobody is unlucky.
TRIES = range(100, 300)
WAIT = timedelta(seconds=60)
PATIENCE = timedelta(hours=2)  # how long after it began a wait can be redeemed


def challenge(key: str) -> str:
    """Work for who wants what `key` names, as the widget reads it."""
    made = altcha.create_challenge(
        "PBKDF2/SHA-256",
        settings().proof_cost,
        counter=TRIES.start + secrets.randbelow(len(TRIES)),
        expires_at=now() + LIFETIME,
        data={"for": key},
        hmac_secret=links().secret(Purpose.PROOF),
    )
    return json.dumps(made.to_dict())


def ticket(key: str) -> str:
    """The beginning of a wait."""
    return links().sign(Purpose.WAIT, f"{key}.{int(now().timestamp()):x}.{secrets.token_urlsafe(9)}")


def check(key: str, solution: str, waiting: str) -> Proof | None:
    """The proof in what a form brought back; None if there is none that is good for `key` now."""
    return (solved(key, solution) if solution else None) or (waited(key, waiting) if waiting else None)


def solved(key: str, solution: str) -> Proof | None:
    try:
        payload = altcha.Payload.from_base64(solution)
        verified = altcha.verify_solution(payload, links().secret(Purpose.PROOF)).verified
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    given = payload.challenge.parameters
    if not verified or given.data != {"for": key} or given.expires_at is None:
        return None
    return Proof(given.nonce, datetime.fromtimestamp(given.expires_at, UTC))


def waited(key: str, waiting: str) -> Proof | None:
    try:
        since = began(key, waiting)
    except NotFound:
        return None
    return Proof(waiting, since + PATIENCE, waited=True) if now() >= since + WAIT else None


def still_to_wait(key: str, waiting: str) -> int:
    """Seconds. Raises NotFound for a wait that is not for `key`, or that is over."""
    return max(0, int((began(key, waiting) + WAIT - now()).total_seconds()) + 1)


def began(key: str, waiting: str) -> datetime:
    whose, since, _ = links().verify(Purpose.WAIT, waiting).rsplit(".", 2)
    at = datetime.fromtimestamp(int(since, 16), UTC)
    if whose != key or now() >= at + PATIENCE:
        raise NotFound("this wait is over, or was for something else")
    return at
