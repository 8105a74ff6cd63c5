"""Leaving by the link in a letter: one button, or a mail provider's one-click POST (RFC 8058) to the same address.

And what can follow: a reason, a return, "not me", an address that is changed back.
"""

from flask import Blueprint, render_template, request

from mailer.links import links
from mailer.states import LeavingReason
from mailer.subscriptions import leaving, moving
from mailer.web.forms import WhyForm
from mailer.web.guards import from_our_pages
from mailer.web.signing_up import evidence

site = Blueprint("leaving", __name__)


@site.get("/unsubscribe/<token>")
def ask(token: str) -> str:
    template = "pages/leave.html" if leaving.is_subscribed(token) else "pages/left.html"
    return render_template(template)


@site.post("/unsubscribe/<token>")
def leave(token: str) -> str:
    """No cookie, no form token, no redirect: the mail provider's server is the one who asks. Repeatable."""
    back = leaving.unsubscribe(token, evidence(links().page("/unsubscribe/")))
    return render_template("pages/goodbye.html", token=back, form=WhyForm(), told=False)


@site.get("/goodbye/<token>")
def goodbye(token: str) -> str:
    if not leaving.has_just_left(token):
        return render_template("pages/left.html")
    return render_template("pages/goodbye.html", token=token, form=WhyForm(), told=False)


@site.post("/goodbye/<token>")
@from_our_pages
def after_leaving(token: str) -> tuple[str, int]:
    """Come back, or say why one left."""
    if "undo" in request.form:
        done = leaving.come_back(token, evidence(links().page("/goodbye/")))
        return render_template("pages/back.html") if done else render_template("pages/left.html"), 200 if done else 410
    form = WhyForm(request.form)
    if not form.validate():
        return render_template("pages/goodbye.html", token=token, form=form, told=False), 400
    if not leaving.say_why(token, LeavingReason(str(form.reason.data))):
        return render_template("pages/left.html"), 410
    return render_template("pages/goodbye.html", token=token, form=form, told=True), 200


@site.get("/not-me/<token>")
def not_me(token: str) -> str:
    return render_template("pages/not_me.html", done=leaving.is_disowned(token), undone=False)


@site.post("/not-me/<token>")
@from_our_pages
def say_not_me(token: str) -> str:
    undo = "undo" in request.form
    act = leaving.own if undo else leaving.disown
    act(token, evidence(links().page("/not-me/")))
    return render_template("pages/not_me.html", done=not undo, undone=undo)


@site.get("/restore/<token>")
def restore(token: str) -> tuple[str, int]:
    """An address that was changed can be changed back by whoever reads the old one."""
    found = moving.can_return(token)
    return render_template("pages/restore.html" if found else "pages/restore_over.html"), 200 if found else 410


@site.post("/restore/<token>")
@from_our_pages
def take_back(token: str) -> tuple[str, int]:
    done = moving.take_back(token, evidence(links().page("/restore/")))
    return render_template("pages/back.html" if done else "pages/restore_over.html"), 200 if done else 410
