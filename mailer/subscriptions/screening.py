"""What may be wrong with an address that is written well: it is one of ours, or it looks mistyped.

Nothing here knows who is on the list, so nothing here can tell.
"""

import re
from email.utils import parseaddr
from pathlib import Path

from mailer.addresses import Address
from mailer.config import Config, settings
from mailer.errors import BadAddress

OUR_ROBOTS = {"bounce", "bounces", "return", "unsubscribe", "owner", "request"}

# Where most people have their mail. A domain that differs by a slip of the finger from a longer one is asked about.
PROVIDERS = frozenset(Path(__file__).with_name("providers.txt").read_text(encoding="ascii").split())
LONG = 8  # among shorter domains, neighbours are often meant
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-."
# Endings that exist nowhere, or are seldom meant.
ENDINGS = {".con": ".com", ".cmo": ".com", ".ocm": ".com", ".comm": ".com", ".cpm": ".com", ".vom": ".com"}
ENDINGS |= {".nte": ".net", ".ent": ".net", ".ogr": ".org", ".rog": ".org", ".orgg": ".org"}


def refuse_ours(address: Address) -> None:
    """Raises BadAddress for an address that the list itself writes from: it would write to itself for ever."""
    if is_ours(address.key, settings()):
        raise BadAddress("it is an address of the list itself")


def is_ours(key: str, config: Config) -> bool:
    local, _, domain = key.partition("@")
    local = re.split(r"[+=]", local)[0]
    senders = {parseaddr(given)[1].lower() for given in (config.sender, config.account_sender)}
    domains = {sender.partition("@")[2] for sender in senders} | {config.host}
    if f"{local}@{domain}" in senders:
        return True
    slug = config.list_slug
    return domain in domains and (local in OUR_ROBOTS or local == slug or local.startswith(f"{slug}-"))


def suggest(address: Address) -> str | None:
    """What was perhaps meant: `ada@gmail.com` for `ada@gmial.com`. A provider's own domain is never doubted."""
    local, _, domain = address.email.partition("@")
    better = mended(domain)
    return f"{local}@{better}" if better else None


def mended(domain: str) -> str | None:
    if domain in PROVIDERS:
        return None
    near = [each for each in sorted(slips(domain) & PROVIDERS) if len(each) >= LONG]
    if near:
        return near[0]
    ending = domain[domain.rfind(".") :]
    return domain.removesuffix(ending) + ENDINGS[ending] if ending in ENDINGS else None


def slips(word: str) -> set[str]:
    """Everything one slip of the finger away: a letter left out, doubled, wrong, or two that changed places."""
    halves = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    less = {head + tail[1:] for head, tail in halves if tail}
    turned = {head + tail[1] + tail[0] + tail[2:] for head, tail in halves if len(tail) > 1}
    wrong = {head + letter + tail[1:] for head, tail in halves if tail for letter in LETTERS}
    more = {head + letter + tail for head, tail in halves for letter in LETTERS}
    return less | turned | wrong | more
