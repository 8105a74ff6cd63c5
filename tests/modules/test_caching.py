"""A process keeps the pages that it made, but not all there are."""

import pytest

from mailer.web.caching import MOST

from ..archives import fill
from ..installation import Installation
from ..tour import rendered

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_page_is_made_once_until_many_others_were_asked_for(here: Installation) -> None:
    first, *others = fill(here, MOST + 1)
    for _ in range(2):
        assert here.site.get(f"/archive/{first}?lang=en").status_code == 200
    with rendered() as seen:
        here.site.get(f"/archive/{first}?lang=en")
    assert seen == set()
    for slug in others:
        here.site.get(f"/archive/{slug}?lang=en")
    with rendered() as seen:
        here.site.get(f"/archive/{first}?lang=en")
    assert "pages/digest.html" in seen
