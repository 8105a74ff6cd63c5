"""Who is at the other end of a request, as far as limits need to know."""

import gc
import ipaddress
import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import wraps
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request

from mailer import logs
from mailer.addresses import Address
from mailer.config import settings
from mailer.db import now
from mailer.errors import NotFound, Overloaded
from mailer.links import Purpose, links
from mailer.subscriptions import letters, proof, throttle
from mailer.subscriptions.throttle import Visitor

View = TypeVar("View", bound=Callable[..., Any])

HASTY = timedelta(seconds=2)  # nobody reads and fills in a form sooner
STALE = timedelta(hours=24)
MOST_WAITING = 30  # requests
WAITING = "mailer.waiting"  # the server's word for how many wait for one of its threads
TURN = "mailer.turn"  # whose sign-up is taken in whatever waits
TRAP = "website"  # a field that people don't see and robots fill in
STAMP = "shown"
REQUEST_ID = re.compile(r"[\w-]{8,64}", re.ASCII)


def open_doors(app: Flask, waiting: Callable[[], int]) -> None:
    """What a server has to do before its first visitor comes. `waiting`: its word for how many requests wait for one of
    its threads.

    The first letter of its kind and language, made while somebody waits for an answer, would tell by the time it takes
    which one it is (D-115). What is loaded by now stays for good: looking through it for garbage would make everybody
    wait for a tenth of a second now and then.
    """
    app.extensions[WAITING] = waiting
    with app.app_context():
        letters.make_all()
    gc.freeze()


def name_request() -> None:
    """For the log: by what a proxy of ours calls the request, or else by a name of our own."""
    given = request.headers.get("X-Request-ID", "") if settings().trusted_proxies else ""
    logs.REQUEST.set(given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8))


def forget_request(_: BaseException | None) -> None:
    logs.REQUEST.set("")


class Age(Enum):
    """Of the form that was sent: none if it is not ours."""

    UNKNOWN = auto()
    HASTY = auto()
    GOOD = auto()
    STALE = auto()


def keeps_up(view: View) -> View:
    """Raises Overloaded while more requests wait for an answer than can be given in time: a visitor who is told so at
    once may come again, and one who has gone by then costs as much as one who is there. One sign-up at a time is always
    taken in: else, under a flood that lasts, telling everybody would leave no time for anybody."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Any:
        turn: threading.Lock = current_app.extensions.setdefault(TURN, threading.Lock())
        waiting: Callable[[], int] | None = current_app.extensions.get(WAITING)
        mine = turn.acquire(blocking=False)
        try:
            if not mine and waiting and waiting() > MOST_WAITING:
                raise Overloaded("more people sign up than can be served: try again in a moment")
            return view(*args, **kwargs)
        finally:
            if mine:
                turn.release()

    return cast(View, answer)


def stamp() -> str:
    """When a form was shown, for the form to bring back."""
    return links().sign(Purpose.FORM, f"{int(now().timestamp() * 1000):x}")


def age() -> Age:
    """A stamp that was tampered with is a robot's: it counts as hasty."""
    given = request.form.get(STAMP)
    if given is None:
        return Age.UNKNOWN
    try:
        shown = datetime.fromtimestamp(int(links().verify(Purpose.FORM, given), 16) / 1000, UTC)
    except NotFound:
        return Age.HASTY
    passed = now() - shown
    return Age.HASTY if passed < HASTY else Age.GOOD if passed < STALE else Age.STALE


def is_trapped() -> bool:
    return bool(request.form.get(TRAP))


def visitor(address: Address, solution: str = "", waiting: str = "") -> Visitor:
    """Who asks for a letter to `address`. Raises nothing: what can't be told is left open."""
    ip = client_ip()
    found = age()
    return Visitor(
        ip=ip,
        hasty=found is Age.HASTY,
        timed=found is not Age.UNKNOWN,
        proof=proof.check(throttle.key_of_address(address), solution, waiting),
        limited=not (settings().is_trial and ip is not None and ip.is_loopback),
    )


def client_address() -> str | None:
    ip = client_ip()
    return str(ip) if ip else None


def client_ip() -> IPv4Address | IPv6Address | None:
    """Where the request came from, by as many proxies as the settings trust; None if what they say is no address.

    Some proxies add a port, and a socket for both kinds of addresses shows IPv4 ones as ::ffff:192.0.2.1.
    """
    given = re.sub(r"^\[(.*)\](:\d+)?$", r"\1", request.remote_addr or "")
    given = re.sub(r"^([\d.]+):\d+$", r"\1", given).partition("%")[0]
    try:
        ip = ipaddress.ip_address(given)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
