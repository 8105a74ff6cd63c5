"""The JSON door to signing up: same checks and limits as the form, same answer for every address."""

import json
from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailer.errors import ProofWanted, TooMany
from mailer.links import links
from mailer.subscriptions import proof, verbs
from mailer.web import openapi, proving, visitors
from mailer.web.forms import SignUpForm
from mailer.web.signing_up import evidence

site = Blueprint("api", __name__, url_prefix="/api/v1")
TEXTS = ("email", "language", "frequency")


@site.get("/openapi.json")
def description() -> ResponseReturnValue:
    return jsonify(openapi.document())


@site.post("/subscriptions")
@visitors.keeps_up
def subscribe() -> ResponseReturnValue:
    if request.mimetype and not request.is_json:
        abort(415)
    try:
        given: Any = request.get_json(silent=True)
    except RecursionError:
        given = None
    if not isinstance(given, dict) or not is_plain(given):
        return jsonify(error='send JSON like {"email": "name@example.org"}'), 400
    form = SignUpForm(MultiDict({name: given[name] for name in (*TEXTS, "topics") if given.get(name)}))
    if not form.validate():
        return jsonify(error=form.first_error()), 400
    visitor = visitors.visitor(form.address, *proving.brought(given))
    verbs.sign_up(form.sign_up(), evidence(links().page("/api/v1/subscriptions")), visitor)
    return jsonify(status="check your mail"), 202


def is_plain(given: dict[str, Any]) -> bool:
    """Whether each field is of its type; null is as good as none."""
    topics = [] if given.get("topics") is None else given["topics"]
    texts = [given[name] for name in (*TEXTS, proving.SOLUTION) if given.get(name) is not None]
    return isinstance(topics, list) and all(isinstance(item, str) for item in [*texts, *topics])


@site.errorhandler(ProofWanted)
def ask_for_proof(wanted: ProofWanted) -> ResponseReturnValue:
    """The work to do; the same request once more with its solution in `altcha` goes through."""
    words = "too many sign-ups: solve the challenge and send its solution along as 'altcha'"
    answer = jsonify(error=words, challenge=json.loads(proof.challenge(wanted.key)))
    return answer, wanted.status, {"Retry-After": str(wanted.seconds)}


@site.errorhandler(TooMany)
def refuse(refusal: TooMany) -> ResponseReturnValue:
    words = f"too many sign-ups came from your network: try again in {refusal.seconds} seconds"
    return jsonify(error=words), refusal.status, {"Retry-After": str(refusal.seconds)}
