"""Privacy, and what robots and finders of holes look for."""

from datetime import timedelta

from flask import Blueprint, Response, render_template

from mailer.config import settings
from mailer.db import now
from mailer.languages import offered
from mailer.links import links

site = Blueprint("about", __name__)


@site.get("/privacy")
def privacy() -> str:
    return render_template("pages/privacy.html")


@site.get("/robots.txt")
def robots() -> Response:
    """Pages that a token opens are nobody's to index."""
    closed = "".join(f"Disallow: /{page}/\n" for page in ("api", "confirm", "manage", "not-me", "unsubscribe"))
    sitemap = links().page("/sitemap.xml")
    return Response(f"User-agent: *\n{closed}\nSitemap: {sitemap}\n", content_type="text/plain; charset=utf-8")


@site.get("/.well-known/security.txt")
def security() -> Response:
    """RFC 9116."""
    lines = [
        f"Contact: mailto:{settings().owner_address}",
        f"Expires: {now() + timedelta(days=180):%Y-%m-%dT00:00:00Z}",
        f"Preferred-Languages: {', '.join(offered(settings().languages))}",
        f"Canonical: {links().page('/.well-known/security.txt')}",
    ]
    return Response("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
