"""Leaving by the link in a letter: one button, or a mail provider's one-click POST (RFC 8058) to the same address."""

from flask import Blueprint, render_template

from mailer.links import links
from mailer.subscriptions import verbs
from mailer.web.signing_up import evidence

site = Blueprint("leaving", __name__)


@site.get("/unsubscribe/<token>")
def ask(token: str) -> str:
    template = "pages/leave.html" if verbs.is_subscribed(token) else "pages/left.html"
    return render_template(template)


@site.post("/unsubscribe/<token>")
def leave(token: str) -> str:
    """No cookie, no form token, no redirect: the mail provider's server is the one who asks. Repeatable."""
    verbs.unsubscribe(token, evidence(links().page("/unsubscribe/")))
    return render_template("pages/goodbye.html")
