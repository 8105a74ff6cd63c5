"""One's own subscription, by a mailed link: a summary, and one page for each thing that can be changed."""

import io
import json

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext

from mailer.db import now
from mailer.errors import NotFound
from mailer.languages import language
from mailer.links import links
from mailer.models import Subscription
from mailer.states import SubscriptionState
from mailer.subscriptions import exporting, managing, people
from mailer.web import visitors
from mailer.web.forms import AddressForm, ManageForm
from mailer.web.guards import from_our_pages
from mailer.web.signing_up import evidence

site = Blueprint("managing", __name__, url_prefix="/manage")

# The pages, by the field that each of them sends.
PARTS = {
    "language": "language",
    "frequency": "frequency",
    "topics": "topics",
    "paused_until": "pause",
    "email": "address",
    "erase": "erase",
}
NEED_CONFIRMED = ("language", "frequency", "topics", "pause", "address")


@site.get("")
def ask() -> str:
    return render_template("pages/manage_link.html", form=AddressForm())


@site.post("")
@from_our_pages
def send_link() -> tuple[str, int]:
    """The same answer for every address that is well formed."""
    form = AddressForm(request.form)
    if not form.validate():
        return render_template("pages/manage_link.html", form=form), 400
    managing.request_link(form.address, visitors.visitor(form.address))
    return render_template("pages/link_sent.html"), 200


@site.post("/<token>/fresh")
@from_our_pages
def send_fresh_link(token: str) -> str:
    managing.request_fresh_link(token)
    return render_template("pages/link_sent.html")


@site.get("/<token>")
def show(token: str) -> tuple[str, int]:
    subscription = managing.open_link(token)
    if subscription is None:
        return expired(token)
    return render_template(
        "pages/manage.html",
        token=token,
        subscription=subscription,
        form=ManageForm(subscription),
        mail_language=language(subscription.subscriber.language),
        leave=links().unsubscribe_token(subscription.subscriber.uid, subscription.list_id),
        saved=request.args.get("saved") in PARTS.values(),
        at=now(),
    ), 200


@site.get("/<token>/<any(language, frequency, topics, pause, address, erase):part>")
def show_part(token: str, part: str) -> tuple[str, int]:
    subscription = managing.open_link(token)
    if subscription is None:
        return expired(token)
    if part in NEED_CONFIRMED and subscription.state is not SubscriptionState.CONFIRMED:
        raise NotFound("only a confirmed subscription can be changed")
    form = AddressForm() if part == "address" else ManageForm(subscription)
    return page_of(part, token, subscription, form), 200


def page_of(part: str, token: str, subscription: Subscription, form: AddressForm | ManageForm) -> str:
    """The page that asks for one thing. Its forms are sent to the page of the summary."""
    return render_template(f"pages/manage/{part}.html", token=token, subscription=subscription, form=form)


@site.post("/<token>")
@from_our_pages
def change(token: str) -> ResponseReturnValue:
    """What is changed follows from the fields that are sent."""
    subscription = managing.open_link(token)
    if subscription is None:
        return expired(token)
    if "erase" in request.form:
        return erase(token)
    if "email" in request.form:
        return change_address(token, subscription)
    form = ManageForm(subscription, request.form)
    wrong = not form.validate() and next(field.name for field in form if field.errors)
    if wrong:
        return page_of(PARTS[wrong], token, subscription, form), 400
    changed = [PARTS[name] for name in PARTS if name in form.sent]
    done = managing.change(token, form.changes(), evidence(f"{links().page('/manage/')} ({', '.join(changed)})"))
    code = form.changes().language or str(get_locale())
    saved = changed[0] if done and changed else None
    return redirect(url_for("managing.show", token=token, lang=code, saved=saved), 303)


def change_address(token: str, subscription: Subscription) -> ResponseReturnValue:
    form = AddressForm(request.form)
    if form.validate() and form.address.key == subscription.subscriber.email_key:
        form.email.errors = [gettext("This is the address that you have now.")]
    if form.errors:
        return page_of("address", token, subscription, form), 400
    managing.ask_to_move(token, form.address, evidence(f"{links().page('/manage/')} (address)"))
    return render_template("pages/new_address.html", token=token)


def erase(token: str) -> ResponseReturnValue:
    never_again = "never_again" in request.form
    if not managing.erase(token, never_again=never_again):
        return expired(token)
    return render_template("pages/erased.html", never_again=never_again)


@site.post("/<token>/close")
@from_our_pages
def close(token: str) -> str:
    managing.close(token)
    return render_template("pages/closed.html")


@site.get("/<token>/data.<any(json, csv):form>")
def download(token: str, form: str) -> ResponseReturnValue:
    """Everything we hold about the person (GDPR 15 and 20)."""
    subscription = managing.open_link(token)
    if subscription is None:
        return expired(token)
    record = people.record(subscription)
    file = io.StringIO()
    if form == "csv":
        exporting.write_record(file, record)
    else:
        json.dump(record, file, ensure_ascii=False, indent=2, default=str)
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
    return Response(
        file.getvalue(), content_type=kind, headers={"Content-Disposition": f"attachment; filename=my-data.{form}"}
    )


def expired(token: str) -> tuple[str, int]:
    return render_template("pages/manage_expired.html", token=token), 410
