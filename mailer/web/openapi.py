"""The API's description (OpenAPI 3.1), made of the same rules that the form checks."""

from typing import Any

from mailer import __version__
from mailer.addresses import LONGEST
from mailer.config import settings
from mailer.languages import offered
from mailer.links import links
from mailer.parsing import LONGEST_WORD, WORD
from mailer.states import Frequency
from mailer.web.forms import MOST_TOPICS

ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Sign up for {settings().list_name}",
            "version": __version__,
            "description": "The answer is the same for every address; a letter to it says the rest.",
        },
        "servers": [{"url": links().page("/api/v1")}],
        "paths": {
            "/subscriptions": {"post": subscribe()},
            "/openapi.json": {"get": description()},
        },
    }


def subscribe() -> dict[str, Any]:
    return {
        "operationId": "subscribe",
        "summary": "Ask for a subscription. A letter asks its reader to confirm.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request_schema()}}},
        "responses": {
            "202": answer(
                "Taken.", {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
            ),
            "400": answer("Not JSON, or a field that can't be used: `error` says which."),
            "413": answer("Larger than 64 KiB."),
            "415": answer("Not sent as application/json."),
            "429": too_many(),
            "503": answer(
                "Too many sign up, or the database is down: nothing was saved. Try again after `Retry-After` seconds."
            ),
        },
    }


def request_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["email"],
        "properties": {
            "email": {"type": "string", "format": "email", "maxLength": LONGEST},
            "language": {"enum": [*offered(settings().languages), "", None]},
            "frequency": {"enum": [*(each.value for each in Frequency), "", None]},
            "topics": {
                "type": ["array", "null"],
                "maxItems": MOST_TOPICS,
                "items": {"type": "string", "pattern": f"^({WORD.pattern})?$", "maxLength": LONGEST_WORD},
            },
            "altcha": {
                "type": ["string", "null"],
                "description": "The solution of a challenge that an answer 429 held: the base64 of "
                '{"challenge": …, "solution": {"counter": …, "derivedKey": …}}',
            },
        },
    }


def too_many() -> dict[str, Any]:
    """Over a limit. With a `challenge`, the same request goes through once it brings the solution."""
    schema = {**ERROR, "properties": {**ERROR["properties"], "challenge": {"type": "object"}}}  # type: ignore[dict-item]
    found = answer("Over a limit: later, or with the solution of the `challenge` if there is one.", schema)
    return {**found, "headers": {"Retry-After": {"schema": {"type": "integer"}}}}


def description() -> dict[str, Any]:
    return {
        "operationId": "description",
        "summary": "This document.",
        "responses": {"200": answer("This document.", {"type": "object"})},
    }


def answer(words: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema or ERROR}}}
