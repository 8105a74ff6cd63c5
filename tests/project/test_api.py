"""The API is what its own description says: no request makes it stumble (D-169, D-172)."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from ..installation import Installation, LiveSite

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
quick = settings(max_examples=60, suppress_health_check=list(HealthCheck))
URL = "/api/v1/subscriptions"


@pytest.fixture
def live(here: Installation) -> Iterator[str]:
    """A server on a real port. All addresses of a generator come from this machine, so that no limit stops it."""
    with LiveSite(here.app) as site:
        yield site.url


CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


def test_a_live_instance_keeps_to_its_description(live: str) -> None:
    schema = schemathesis.openapi.from_url(f"{live}/api/v1/openapi.json")
    schema.base_url = f"{live}/api/v1"
    operation = schema["/subscriptions"]["POST"]
    wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    tried = Counter[int]()

    @quick
    @given(operation.as_strategy() | wrong)
    def ask(case: schemathesis.Case) -> None:
        tried[case.call_and_validate(checks=CHECKS).status_code] += 1

    ask()
    assert tried[202] > 5
    assert tried[400] > 5


def test_the_description_says_where_it_is(here: Installation) -> None:
    here.configure(BASE_URL="https://lists.example.org", LANGUAGES="fr,en")
    found = here.site.get("/api/v1/openapi.json").get_json()
    assert found["servers"] == [{"url": "https://lists.example.org/api/v1"}]
    body = found["paths"]["/subscriptions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["language"]["enum"] == ["fr", "en", "", None]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"email": "ada@example.org"}', "application/json; charset=utf-8", 202),
        (b'{"email": "ada@example.org"}', "application/vnd.api+json", 202),
        (b"email=ada@example.org", "application/x-www-form-urlencoded", 415),
        (b'{"email": "ada@example.org"}', "text/plain", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"a":' * 9_000, "application/json", 400),
        (b'{"email": "' + b"a" * 70_000 + b'@example.org"}', "application/json", 413),
        (b'{"email": "a\\u0000@example.org"}', "application/json", 400),
        (b'{"email": "ada@example.org", "topics": ' + json.dumps(["a"] * 51).encode() + b"}", "application/json", 400),
        (b'{"email": "ada@example.org", "frequency": NaN}', "application/json", 400),
        (b'{"email": "ada@example.org", "frequency": {"a": 1}}', "application/json", 400),
    ],
)
def test_what_is_not_meant_is_refused_as_json(here: Installation, body: bytes, kind: str, status: int) -> None:
    answer = here.site.post(URL, data=body, content_type=kind)
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert ("error" in answer.get_json()) == (status != 202)


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405)])
def test_other_methods_are_refused_and_the_right_one_named(here: Installation, method: str, status: int) -> None:
    answer = here.site.open(URL, method=method)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (status, {"POST", "OPTIONS"})
    assert answer.get_json() == {"error": "method not allowed"}
    assert here.site.get("/api/v1/nothing").get_json() == {"error": "not found"}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
)


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("email", "language", "topics", "altcha", "waiting"), JSON)))
def test_any_object_is_taken_or_refused(here: Installation, body: dict[str, Any]) -> None:
    assert here.site.post(URL, json=body).status_code in (202, 400)
