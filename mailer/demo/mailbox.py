"""`/demo/mailbox`: every mail that the demo's catcher took, with its links ready to be clicked."""

import re

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup, escape

from mailer.demo.catcher import Catcher, Caught
from mailer.errors import NotFound

# A mail brings its own style and may not run anything; its links open beside the mailbox.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
VIEWS = {"html": "HTML", "text": "Text", "headers": "Headers", "source": "Source"}


def mailbox(catcher: Catcher) -> Blueprint:
    """The mailbox's pages over one catcher."""
    site = Blueprint("mailbox", __name__, url_prefix="/demo")

    def mail_of(number: int) -> Caught:
        found = catcher.find(number)
        if found is None:
            raise NotFound(f"there is no mail {number}")
        return found

    @site.app_context_processor
    def way_to_it() -> dict[str, str]:
        return {"demo_mailbox": "/demo/mailbox"}  # letters are rendered outside requests

    @site.get("/mailbox")
    def index() -> str:
        return render_template("pages/demo/mailbox.html", mails=catcher.mails[::-1])

    @site.get("/mailbox/<int:number>")
    def show(number: int) -> Response:
        view = request.args.get("view", "html")
        page = render_template(
            "pages/demo/mail.html",
            mail=mail_of(number),
            view=view if view in VIEWS else "html",
            views=VIEWS,
            linked=linked,
        )
        return Response(page, headers={"Content-Security-Policy": PAGE_POLICY})

    @site.get("/mailbox/<int:number>/html")
    def html(number: int) -> Response:
        page = mail_of(number).part("html").replace("<head>", '<head><base target="_blank">', 1)
        policy = {"Content-Security-Policy": MAIL_POLICY}
        return Response(page, content_type="text/html; charset=utf-8", headers=policy)

    return site


def linked(text: str) -> Markup:
    """Plain text with its addresses as links."""
    shown = re.sub(r"https?://[^\s<>]+", r'<a href="\g<0>">\g<0></a>', str(escape(text)))
    return Markup(shown)  # noqa: S704 - escaped before the links were put in
