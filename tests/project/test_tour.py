"""No page and no letter is forgotten by the tests that look at all of them."""

from ..installation import Installation
from ..tour import Tour, every_template, letters, rendered


def test_the_tour_sees_every_page_and_letter(here: Installation) -> None:
    with rendered() as seen:
        tour = Tour(here)
        for scene in tour.scenes():
            answer = here.site.open(scene.path, method="GET" if scene.form is None else "POST", data=scene.form)
            assert answer.status_code == scene.status, scene
        letters(here, ["en"])
    assert every_template() <= seen, "add a line to tests/tour.py"
