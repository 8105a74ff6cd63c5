"""Addresses and tokens made unreadable, for what is written beside the database: logs, journals, servers' replies."""

import re

# Rather too much than too little: a local part may hold nearly every sign (RFC 5322 3.2.3).
LOCAL, DOMAIN = r"[^\s@<>()\[\]\",;:\\]", r"[^\s@<>()\[\]\"',;:=/\\%?&]"
ADDRESS = re.compile(rf"({LOCAL}){LOCAL}{{0,128}}(@|%40)({DOMAIN}){DOMAIN}{{0,255}}")
# `<payload>.<signature>` as `links` makes it: a random id, numbers, 43 letters of an HMAC.
TOKEN = re.compile(r"[\w-]{6,512}(?:\.[\w-]{1,512}){0,6}\.[\w-]{43}(?![\w-])")
# What stands in the address of a page that is one person's own, whole or cut off.
OWN_PAGE = re.compile(r"(/(?:confirm|unsubscribe|manage|not-me|goodbye|restore)/)[^\s/?&#\"'<>]+")


def mask(text: str) -> str:
    """`ada@example.org` becomes `a***@e***`, a token `[token]`."""
    return mask_addresses(TOKEN.sub("[token]", OWN_PAGE.sub(r"\1[token]", text)))


def mask_addresses(text: str) -> str:
    return ADDRESS.sub(r"\1***\2\3***", text) if "@" in text or "%40" in text else text
