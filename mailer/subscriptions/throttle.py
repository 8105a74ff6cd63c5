"""How many letters strangers may cause, and what is asked of those who cause many.

A sign-up counts for its address, its client, the client's network, the address's domain and for all together. Only what
was let through is counted: who is refused makes nobody else wait longer. Too many letters to one address are left out
without a word; a busy client has to prove first that it is no robot, and only a very busy one is refused.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_network

from flask import current_app
from sqlalchemy.orm import Session

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, now, take_turns
from mailer.errors import ProofWanted, TooMany
from mailer.subscriptions import counters
from mailer.subscriptions.counters import Counts, Kind, key_of
from mailer.subscriptions.screening import PROVIDERS

log = logging.getLogger(__name__)

MANY = 50  # sign-ups in an hour, below which their ratio says nothing
CALM = 1 / 5  # what becomes of the limits in an attack
BUSY = 1 / 2  # of the limit for all, from which forms of other sites are suspect
LARGE = 10  # so many times the limit of a domain for a large provider's


@dataclass(frozen=True)
class Proof:
    """That somebody took trouble: a computer's work, or a wait. It is good once."""

    id: str
    until: datetime
    waited: bool = False


@dataclass(frozen=True)
class Visitor:
    """Who asks. `hasty`: too quick for a person. `timed`: by our own form, which knows when it was shown.
    Not `limited`: nobody but the operator can be there."""

    ip: IPv4Address | IPv6Address | None = None
    hasty: bool = False
    timed: bool = True
    proof: Proof | None = None
    limited: bool = True


UNLIMITED = Visitor(limited=False)  # who holds a link of ours; the address is still not written to too often


def take_turn(session: Session) -> None:
    """Whoever locks rows before asking to be admitted takes the turn first: else two could wait for each other."""
    take_turns(session, "throttle")


def admit(session: Session, address: Address, visitor: Visitor) -> bool:
    """Count a request that causes a letter to `address`, in the caller's transaction; whether there may be one.

    What the caller answers must not depend on it, or it would tell what others did with the address.
    Raises TooMany for a client over its limits, ProofWanted for one that has to show that it is no robot.
    """
    [found] = admit_all(session, [(address, visitor)])
    if isinstance(found, TooMany):
        raise found
    return found


def admit_all(session: Session, asking: Sequence[tuple[Address, Visitor]]) -> list[bool | TooMany]:
    """The same for several who ask at the same moment, one after the other. What each would raise is returned."""
    at = now()
    take_turn(session)
    more: Counter[tuple[Kind, str]] = Counter()
    every = counters.count_all(session, [keys_of(*each) for each in asking], at, more)
    found = [let_through(session, *each, counts) for each, counts in zip(asking, every, strict=True)]
    counters.add(session, more.elements(), at)
    return found


def let_through(session: Session, address: Address, visitor: Visitor, counts: Counts) -> bool | TooMany:
    if visitor.limited:
        try:
            judge(session, counts, visitor, large=address.domain in PROVIDERS)
        except TooMany as refusal:
            return refusal
    may_write = counts.reached(Kind.ADDRESS) is None
    counted: dict[Kind, str] = {kind: key for kind, key in counts.keys.items() if kind is not Kind.CONFIRMED}
    if not may_write:  # which costs as many writes, so that nobody can tell by the time it takes
        del counted[Kind.ADDRESS]
        counted[Kind.LEFT_OUT] = key_of(Kind.LEFT_OUT)
    counts.more.update(counted.items())
    return may_write


def admit_to_settings(session: Session, visitor: Visitor) -> None:
    """Count a request for a link to one's settings, in the caller's transaction. It can only cause a letter to
    somebody who is known, and few to each, so nobody has to prove anything. Raises TooMany for a client or a network
    that asks as often as those may sign up who prove that they are no robot."""
    if not visitor.limited:
        return
    at = now()
    take_turn(session)
    keys = {
        Kind.LINK_CLIENT: key_of(Kind.LINK_CLIENT, str(visitor.ip)),
        Kind.LINK_NETWORK: key_of(Kind.LINK_NETWORK, network(visitor.ip)),
    }
    counts = counters.count(session, keys, at)
    for kind in keys:
        refuse_over(session, counts, kind, settings().limit_factor)
    counters.add(session, keys.items(), at)


def judge(session: Session, counts: Counts, visitor: Visitor, *, large: bool) -> None:
    attacked = attack_in(counts)
    watch(attacked)
    times = CALM if attacked else 1.0
    for kind in (Kind.CLIENT, Kind.NETWORK):
        refuse_over(session, counts, kind, times * settings().limit_factor)
    over = (
        counts.reached(Kind.CLIENT, times)
        or counts.reached(Kind.NETWORK, times)
        or counts.reached(Kind.DOMAIN, times * (LARGE if large else 1))
    )
    suspect = visitor.hasty or (not visitor.timed and counts.reached(Kind.ALL, BUSY))
    if attacked or over or suspect:
        demand(session, counts, visitor.proof)


def demand(session: Session, counts: Counts, proof: Proof | None) -> None:
    """Use up the proof. Raises ProofWanted if there is none, or if it was used before."""
    if proof and proof.waited:
        refuse_over(session, counts, Kind.WAITED, 1)
    if not (proof and counters.use_up(session, proof.id, proof.until)):
        raise ProofWanted("it has to be shown that no robot asks", 1, counts.keys[Kind.ADDRESS])


def refuse_over(session: Session, counts: Counts, kind: Kind, times: float) -> None:
    if reached := counts.reached(kind, times):
        most = counters.raised(reached, times)
        seconds = counters.free_in(session, counts, kind, reached, most)
        raise TooMany(f"requests are over the limit {reached} of a {kind}", seconds)


@dataclass(frozen=True)
class Attack:
    """Sign-ups of the last hour, and how many of them were confirmed."""

    asked: int
    confirmed: int


def attack() -> Attack | None:
    """The attack that is going on, if there is one. It ends by itself, as the last hour moves on."""
    keys = {kind: key_of(kind) for kind in (Kind.ALL, Kind.CONFIRMED)}
    return attack_in(counters.count(db.session(), keys, now()))


def attack_in(counts: Counts) -> Attack | None:
    asked, confirmed = counts.of(Kind.ALL), counts.of(Kind.CONFIRMED)
    ignored = asked > MANY and 100 * confirmed < settings().attack_ratio * asked
    return Attack(asked, confirmed) if ignored or counts.reached(Kind.ALL) else None


def watch(found: Attack | None) -> None:
    """Say when an attack begins and when it has ended, once in each process that takes sign-ups."""
    known = current_app.extensions.get("mailer.attack", False)
    current_app.extensions["mailer.attack"] = found is not None
    if found and not known:
        words = "sign-ups look like an attack: %d in the last hour, %d confirmed; a proof of work is asked of everybody"
        log.warning(words, found.asked, found.confirmed)
    elif known and not found:
        log.warning("sign-ups look normal again")


def note_confirmation(session: Session) -> None:
    """Letters that are answered speak against an attack."""
    counters.add(session, [(Kind.CONFIRMED, key_of(Kind.CONFIRMED))], now())


def forgive(session: Session, email_key: str | None) -> None:
    """Count anew for an address whose owner did something with a letter: the letters so far were no nuisance."""
    if email_key:
        counters.clear(session, key_of_address(Address(email_key, email_key)))


def keys_of(address: Address, visitor: Visitor) -> dict[Kind, str]:
    keys = {Kind.ADDRESS: key_of_address(address), Kind.CLIENT: key_of(Kind.CLIENT, str(visitor.ip))}
    if visitor.limited:
        keys[Kind.NETWORK] = key_of(Kind.NETWORK, network(visitor.ip))
        keys[Kind.DOMAIN] = key_of(Kind.DOMAIN, address.domain)
        keys |= {kind: key_of(kind) for kind in (Kind.ALL, Kind.CONFIRMED)}
    if visitor.limited and visitor.proof and visitor.proof.waited:
        keys[Kind.WAITED] = key_of(Kind.WAITED)
    return keys


def key_of_address(address: Address) -> str:
    return key_of(Kind.ADDRESS, mailbox(address))


def mailbox(address: Address) -> str:
    """One name for all spellings that reach the same mailbox. For counting only: mail goes to what was typed."""
    local, _, domain = address.key.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def network(ip: IPv4Address | IPv6Address | None) -> str:
    """What one customer of a provider usually has."""
    return str(ip_network((ip, 24 if ip.version == 4 else 56), strict=False)) if ip else ""
