"""Feeds as their readers see them: held to their schema, then read by a feed reader's own library."""

from pathlib import Path
from typing import Any

import feedparser
from lxml import etree

from .installation import Installation

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parent / "atom.rng"))
KIND = "application/atom+xml"


def parsed(document: bytes) -> Any:
    """Fails for one that is no Atom feed."""
    SCHEMA.assertValid(etree.fromstring(document))
    found = feedparser.parse(document, response_headers={"content-type": f"{KIND}; charset=utf-8"})
    assert (found.bozo, found.version) == (0, "atom10"), found.get("bozo_exception")
    return found


def feed(here: Installation, code: str = "en", **query: str) -> Any:
    answer = here.site.get("/archive/feed.atom", query_string={"lang": code, **query})
    assert (answer.status_code, answer.content_type) == (200, f"{KIND}; charset=utf-8")
    return parsed(answer.data)


def link(found: Any, rel: str) -> str | None:
    """The address of a feed's link, as a path on the site."""
    return next((each.href.partition("8000")[2] for each in found.feed.links if each.rel == rel), None)
