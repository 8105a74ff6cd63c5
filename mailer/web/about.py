"""Privacy, health."""

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from mailer.lists import the_list

site = Blueprint("about", __name__)


@site.get("/privacy")
def privacy() -> str:
    return render_template("pages/privacy.html")


@site.get("/healthz")
def health() -> ResponseReturnValue:
    """200 when the database answers and holds the list; 503 otherwise."""
    return jsonify(status="ok", list=the_list().slug)
