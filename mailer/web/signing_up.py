"""The form, its answer and the confirmation. The answer is the same for every address that is well formed."""

from flask import Blueprint, current_app, render_template, request
from flask_babel import get_locale

from mailer.links import links
from mailer.subscriptions import consent, verbs
from mailer.subscriptions.verbs import Confirmation
from mailer.web import proving, visitors
from mailer.web.forms import SignUpForm
from mailer.web.guards import from_our_pages

site = Blueprint("signing_up", __name__)


@site.get("/")
def form() -> str:
    return render_template("pages/form.html", form=SignUpForm(), wording=consent.wording())


@site.post("/subscribe")
@visitors.keeps_up
def subscribe() -> tuple[str, int]:
    given = SignUpForm(request.form)
    if visitors.is_trapped():
        return check_your_mail(), 200  # a robot that thinks it is done comes less often
    if not (given.validate() and given.is_current() and given.is_sure()):
        return render_template("pages/form.html", form=given, wording=consent.wording()), 400
    visitor = visitors.visitor(given.address, *proving.brought(request.form))
    verbs.sign_up(given.sign_up(), evidence(links().page("/subscribe")), visitor)
    return check_your_mail(), 200


def check_your_mail() -> str:
    """The one answer for everybody, rendered once in each language."""
    answers: dict[str, str] = current_app.extensions.setdefault("mailer.answers", {})
    code = str(get_locale())
    if code not in answers:
        answers[code] = render_template("pages/check_your_mail.html")
    return answers[code]


@site.get("/confirm/<token>")
def confirmation(token: str) -> tuple[str, int]:
    """Shows one button: mail scanners follow links, so opening this page must not confirm."""
    return page_for(verbs.read_confirmation(token), token)


@site.post("/confirm/<token>")
def confirm(token: str) -> tuple[str, int]:
    return page_for(verbs.confirm(token, evidence(links().page("/confirm/"))), token)


@site.post("/confirm/<token>/fresh")
@from_our_pages
def send_fresh_letter(token: str) -> str:
    """The same answer whether a letter is due or not, as for the form."""
    verbs.ask_again(token, evidence(links().page("/confirm/")))
    return render_template("pages/check_your_mail.html")


def page_for(state: Confirmation, token: str) -> tuple[str, int]:
    pages = {
        Confirmation.OPEN: ("pages/confirm.html", 200),
        Confirmation.DONE: ("pages/confirmed.html", 200),
        Confirmation.EXPIRED: ("pages/expired.html", 410),
        Confirmation.GONE: ("pages/expired.html", 410),
    }
    template, status = pages[state]
    gone = state is Confirmation.GONE
    return render_template(template, token=token, gone=gone, wording=consent.wording()), status


def evidence(page: str) -> consent.Evidence:
    return consent.shown(page, ip=visitors.client_address(), user_agent=request.user_agent.string.replace("\0", ""))
