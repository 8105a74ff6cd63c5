"""Which requests may change something. There are no sessions to abuse (docs/adr/0002), so a POST is guarded by what it
has to bring: a signed link, or a page of ours that it comes from."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import abort, request

from mailer.config import settings

View = TypeVar("View", bound=Callable[..., Any])

# Every POST that other sites may send, too, and why. All others are `from_our_pages`; a test holds this list to that.
OPEN = {
    "signing_up.subscribe": "forms on other sites may post here; throttled, and nothing happens without a confirmation",
    "signing_up.confirm": "needs the signed link from the letter",
    "leaving.leave": "needs the signed link from the letter; mail providers post here (RFC 8058)",
    "api.subscribe": "for programs; needs JSON, which no other site's form can send; throttled as the form is",
}


def from_our_pages(view: View) -> View:
    """Refuse with 403 what a page of another site sent. To be written under the route."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.method not in ("GET", "HEAD", "OPTIONS") and not comes_from_us():
            abort(403)
        return view(*args, **kwargs)

    guarded.from_our_pages = True  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def comes_from_us() -> bool:
    """What the browser says of the page that sent the form (Fetch Metadata, RFC 6454).

    Browsers without Fetch Metadata say `Origin: null`, because our pages have no referrer, and programs say nothing:
    neither can be told from an attack, but no cookie makes them dangerous.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin", "null")
    return origin == "null" or urlsplit(origin).netloc in (request.host, urlsplit(settings().base_url).netloc)
