"""What the privacy notice tells, in each language (D-136)."""

import pytest

from ..installation import Installation

DAYS = {"en": "40 days", "fr": "40\u00a0jours", "es": "40 días", "ru": "40 дней", "ar": "40 يومًا", "zh": "40天"}


@pytest.mark.parametrize("code", DAYS)
def test_it_says_who_keeps_what_and_for_how_long(here: Installation, code: str) -> None:
    here.configure(ORGANISATION="Example Organisation", POSTAL_ADDRESS="1 Example Street", KEEP_ADDRESS_DAYS=40)
    notice = here.site.get(f"/privacy?lang={code}").text
    assert "Example Organisation, 1 Example Street" in notice
    assert DAYS[code] in notice
    assert "/manage" in notice
    assert "news@lists.example.org" in notice


def test_whole_years_are_called_so(here: Installation) -> None:
    notice = here.site.get("/privacy").text
    assert "3 years" in notice
    assert "28 days" in notice


def test_where_no_organisation_is_named_none_is(here: Installation) -> None:
    assert "Who is responsible" not in here.site.get("/privacy").text
