"""Past digests, without any address or token."""

from flask import Blueprint, render_template
from flask_babel import get_locale

from mailer.digests import archive, editions

site = Blueprint("archive", __name__)


@site.get("/archive")
def index() -> str:
    code = str(get_locale())
    return render_template(
        "pages/archive.html", digests=[(digest, editions.items(digest, code)) for digest in archive.public()]
    )


@site.get("/archive/<slug>")
def show(slug: str) -> str:
    digest, code = archive.find_public(slug), str(get_locale())
    return render_template(
        "pages/digest.html",
        digest=digest,
        title=editions.title(digest, code),
        items=editions.items(digest, code),
        intro=editions.intro_html(digest, code),
        date=digest.approved_at,
    )
