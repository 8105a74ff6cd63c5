"""The JSON door to signing up: same checks as the form, same answer for every address."""

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailer.links import links
from mailer.subscriptions import verbs
from mailer.web.forms import SignUpForm
from mailer.web.signing_up import evidence

site = Blueprint("api", __name__, url_prefix="/api/v1")
FIELDS = ("email", "language", "frequency", "topics")


@site.post("/subscriptions")
def subscribe() -> ResponseReturnValue:
    try:
        given: Any = request.get_json(silent=True)
    except RecursionError:
        given = None
    if not isinstance(given, dict) or not all(is_plain(given.get(name)) for name in FIELDS):
        return jsonify(error='send JSON like {"email": "name@example.org"}'), 400
    form = SignUpForm(MultiDict({name: given[name] for name in FIELDS if given.get(name)}))
    if not form.validate():
        return jsonify(error=form.first_error()), 400
    verbs.sign_up(form.sign_up(), evidence(links().page("/api/v1/subscriptions")))
    return jsonify(status="check your mail"), 202


def is_plain(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, str)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    )
