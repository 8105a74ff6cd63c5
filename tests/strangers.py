"""Visitors from elsewhere, whom limits are for: each with an address of its own, as a trusted proxy tells it."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import altcha
import time_machine
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from .installation import Installation

FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


def open_to_strangers(here: Installation, **settings: str | int) -> None:
    """Behind a proxy. Work is light, so that tests need not sweat."""
    here.configure(TRUSTED_PROXIES=1, PROOF_COST=1, **settings)


@contextmanager
def standing_clock(at: str = "2026-03-02T12:00:00Z") -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at, tick=False) as clock:
        yield clock


class Stranger:
    """Somebody with a browser. `headers` as the proxy before us makes them."""

    def __init__(self, here: Installation, ip: str = "192.0.2.1", **headers: str) -> None:
        self.here = here
        self.headers = {"X-Forwarded-For": ip, **headers}

    def read_form(self, seconds: float = 10) -> dict[str, str]:
        """What the form would bring back by itself if it was opened so long ago."""
        with time_machine.travel(datetime.now(UTC) - timedelta(seconds=seconds), tick=False):
            return hidden(self.here.site.get("/", headers=self.headers))

    def post(self, email: str, /, **fields: Any) -> TestResponse:
        return self.here.site.post(
            "/subscribe", data={"email": email, **self.read_form(), **fields}, headers=self.headers
        )

    def post_from_another_site(self, email: str, /, **fields: str) -> TestResponse:
        """A form that knows nothing but the address."""
        return self.here.site.post("/subscribe", data={"email": email, **fields}, headers=self.headers)

    def prove(self, asked: TestResponse) -> TestResponse:
        """Do the work that a page asks for and send everything back."""
        fields = MultiDict([*kept(asked), ("altcha", solve(challenge(asked)))])
        return self.here.site.post("/subscribe", data=fields, headers=self.headers)

    def sign_up(self, email: str) -> TestResponse:
        """As a person does, with the proof if it is asked for."""
        answer = self.post(email)
        return self.prove(answer) if wants_proof(answer) else answer


def kept(page: TestResponse) -> list[tuple[str, str]]:
    """The hidden fields of a page's form."""
    return [(name, html.unescape(value)) for name, value in FIELD.findall(page.text)]


def hidden(page: TestResponse) -> dict[str, str]:
    return dict(kept(page))


def wants_proof(answer: TestResponse) -> bool:
    return answer.status_code == 429 and "data-challenge" in answer.text


def challenge(asked: TestResponse) -> dict[str, Any]:
    found = re.search(r'data-challenge="([^"]*)"', asked.text)
    assert found, asked.text
    return dict(json.loads(html.unescape(found[1])))


def solve(given: dict[str, Any]) -> str:
    """What the widget does."""
    task = altcha.Challenge.from_dict(given)
    solved = altcha.solve_challenge(task)
    assert solved
    return altcha.Payload(task, solved).to_base64()


def letters_to(here: Installation, email: str) -> int:
    return len(here.json("subscriber", "show", email)["deliveries"])
