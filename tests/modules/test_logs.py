"""What is logged: one line a record, and neither an address nor a token in it (D-154, D-155)."""

import io
import json
import logging
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import addresses
from mailer.errors import BadAddress
from mailer.links import LIFETIMES, Links
from mailer.logs import JsonFormatter, PlainFormatter
from mailer.masking import mask

from ..installation import Installation

LINKS = Links("https://lists.example.org", ("k" * 32,))
MASKED = [
    ("550 5.1.1 <ada@example.org>: no such user", "550 5.1.1 <a***@e***>: no such user"),
    ("ada+list@example.org, b@x.org", "a***@e***, b***@x***"),
    ("(email_key)=(ada@example.org)", "(email_key)=(a***@e***)"),
    ("mailto:ada@example.org?subject=x", "mailto:a***@e***?subject=x"),
    ("GET /?email=ada%40example.org HTTP/1.1", "GET /***%40e*** HTTP/1.1"),
    ("/confirm/abc.1.5f.sig?lang=fr", "/confirm/[token]?lang=fr"),
    ("/unsubscribe/cut-off", "/unsubscribe/[token]"),
    *((f"/{page}/a.1.sig/x", f"/{page}/[token]/x") for page in ("manage", "not-me", "goodbye", "restore")),
    ("digest 1 of list 2: 3.4 a second", "digest 1 of list 2: 3.4 a second"),
    ("postgresql+psycopg.errors.UniqueViolation", "postgresql+psycopg.errors.UniqueViolation"),
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_addresses_and_tokens_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


LOCAL = st.text("abcXYZ019.!#$&'*+-/=?^_`{|}~é木", min_size=2, max_size=64)


@given(LOCAL, st.sampled_from(["example.org", "xn--exmple-cua.org", "a.b.example.net"]))
def test_no_address_that_we_take_is_readable(local: str, domain: str) -> None:
    try:
        address = addresses.parse(f"{local}@{domain}").email
    except BadAddress:
        return
    assert address not in mask(f"said <{address}>, and {address}.")
    assert domain not in mask(f"said <{address}>")


@given(st.text("abcdefXYZ019-_", min_size=16, max_size=16), st.integers(1, 99))
def test_no_token_is_readable(uid: str, list_id: int) -> None:
    passing = [LINKS.passing_token(purpose, uid, list_id, datetime.now(UTC)) for purpose in LIFETIMES]
    for token in (LINKS.unsubscribe_token(uid, list_id), LINKS.not_me_token(uid, list_id), *passing):
        for text in (f"Exception on /elsewhere/{token} [POST]", f"token={token}", token):
            assert token.rpartition(".")[2] not in mask(text)


def record(message: object, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("mailer.x", logging.WARNING, "x.py", 1, message, args, trace)


@given(st.text())
def test_a_record_is_one_line_whatever_it_holds(text: str) -> None:
    line = JsonFormatter().format(record("%s", text))
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["level"] == "warning"
    assert PlainFormatter().format(record("%s", text)).isprintable()


def test_a_trace_shows_no_values() -> None:
    address = "@".join(("ada", "example.org"))
    try:
        raise ValueError(f"what {address} asked by /confirm/abc.1.5f.sig")
    except ValueError:
        error = sys.exc_info()[1]
    line = JsonFormatter().format(record("it broke", error=error))
    assert address not in line
    assert "ValueError: what a***@e*** asked by /confirm/[token]" in line


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("proxies", "named"), [(1, True), (0, False)])
def test_a_record_names_its_request(here: Installation, proxies: int, named: bool) -> None:
    """By the proxy's name for it, so that both logs can be read together; a visitor's own word counts for nothing."""
    here.configure(TRUSTED_PROXIES=proxies)
    (here.folder / "mailer.db").write_bytes(b"")
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    try:
        assert here.site.get("/archive", headers={"X-Request-ID": "a-name-of-the-proxy"}).status_code == 503
        assert here.site.get("/archive", headers={"X-Request-ID": "a b"}).status_code == 503
    finally:
        logging.getLogger().removeHandler(handler)
    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["request"] == "a-name-of-the-proxy") is named
    assert len(second["request"]) == 16
