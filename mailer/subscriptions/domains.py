"""Does a domain take mail? Asked of the DNS before a letter is written, and in doubt answered with yes."""

import re
import time
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import dns.resolver
from dns.resolver import NXDOMAIN, LRUCache, NoAnswer, NoResolverConfiguration, Resolver
from email_validator import EmailUndeliverableError
from email_validator.deliverability import validate_email_deliverability
from flask import current_app

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, leave_reading
from mailer.errors import BadAddress

BUDGET_SECONDS = 3.0  # for all questions about one domain
REST_SECONDS = 60.0  # after a name server was silent: people must not wait for it one after the other
AT_ONCE = 3  # the threads that answer pages must not all wait for the DNS
# RFC 2606 and 6761: they never take mail, and stand in examples, demos and tests.
RESERVED = re.compile(r"(.*\.)?(example|test|invalid|localhost|example\.(com|net|org))")


class NoMail(BadAddress):
    """The address's domain does not exist, or says that it takes no mail."""


def check(address: Address) -> None:
    """Raises NoMail if the domain certainly takes no mail (RFC 5321 5.1, RFC 7505). In doubt, it does.

    What was read from the database is let go: no transaction stays open while the network is waited for.
    """
    domain = address.domain
    if settings().dns_resolver == "off" or RESERVED.fullmatch(domain):
        return
    leave_reading(db.session())
    if not lookups().takes_mail(domain):
        raise NoMail(f"mail to {domain} can't be delivered")


class Lookups:
    """The questions of one process: few at once, each within the budget, answers kept for as long as they say."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.resolver = resolver(server)
        self.free = BoundedSemaphore(AT_ONCE)
        self.rests_until = 0.0

    def takes_mail(self, domain: str) -> bool:
        if time.monotonic() < self.rests_until or not self.free.acquire(blocking=False):
            return True
        try:
            return self.ask(domain)
        finally:
            self.free.release()

    def ask(self, domain: str) -> bool:
        hurried = Hurried(self.resolver)
        try:
            found = validate_email_deliverability(domain, domain, dns_resolver=hurried)
        except EmailUndeliverableError as error:
            # Any trouble that the library does not know is told as undeliverable, too.
            if isinstance(error.__cause__, NXDOMAIN):
                return not knows_the_world(hurried)
            return not (error.__cause__ is None or isinstance(error.__cause__, NoAnswer))
        if found.get("unknown-deliverability") == "timeout":
            self.rests_until = time.monotonic() + REST_SECONDS
        return True


def knows_the_world(resolver: Resolver) -> bool:
    """Whether it can know which domains there are: one that serves a closed network denies all the others."""
    try:
        return bool(resolver.resolve(".", "NS"))
    except dns.exception.DNSException:
        return False


class Hurried(Resolver):
    """A resolver that answers several questions within one budget, without the search list of this machine."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.deadline = time.monotonic() + BUDGET_SECONDS

    def resolve(self, qname: Any, rdtype: Any = "A", *_: Any, **__: Any) -> Any:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise dns.exception.Timeout
        return self.resolver.resolve(qname, rdtype, lifetime=left, search=False)


def resolver(server: str) -> Resolver:
    """Of this machine, or one that asks `server`."""
    try:
        made = Resolver(configure=server == "system")
    except NoResolverConfiguration:
        made = Resolver(configure=False)  # which knows nobody to ask, so that everything is taken for good
    if server != "system":
        parts = urlsplit(f"//{server}")
        made.nameservers = [str(parts.hostname)]
        made.port = parts.port or 53
    made.cache = LRUCache(1000)
    return made


def lookups() -> Lookups:
    found: Lookups | None = current_app.extensions.get("mailer.lookups")
    if found is None:
        found = current_app.extensions["mailer.lookups"] = Lookups(settings().dns_resolver)
    return found
