"""No page and no letter is forgotten by the tests that look at all of them; and pages hold together."""

import re
from collections import Counter

import pytest

from ..installation import Installation
from ..tour import Tour, every_template, letters, rendered, scenes

POINTERS = re.compile(r' (?:for|aria-describedby|aria-labelledby)="([^"]+)"| href="#([^"]+)"')


def test_the_tour_sees_every_page_and_letter(here: Installation) -> None:
    with rendered() as seen:
        for scene in scenes(here):
            scene.answer(here)
        letters(here, ["en"])
    assert every_template() <= seen, "add a line to tests/tour.py"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_points_to_a_part_of_its_page_finds_exactly_one(here: Installation) -> None:
    """D-174: labels, hints, errors and what leads to them."""
    for scene in Tour(here).scenes():
        page = scene.answer(here).text
        ids = Counter(re.findall(r' id="([^"]+)"', page))
        named = {name for found in POINTERS.findall(page) for name in "".join(found).split()}
        assert {name: ids[name] for name in named} == dict.fromkeys(named, 1), scene
        assert not [name for name, times in ids.items() if times > 1], scene
