"""Topics: named and ordered by an operator, chosen by subscribers, used by announcements and imports."""

import json

import pytest
import sqlalchemy as sa
from flask_migrate import downgrade, upgrade

from mailer.db import db

from ..installation import RECAP, Installation

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def chosen(here: Installation, email: str) -> list[str]:
    found: list[str] = here.json("subscriber", "show", email)["topics"]
    return found


def keys(here: Installation) -> list[str]:
    return [topic["key"] for topic in here.json("topic", "list")]


def imported(here: Installation, **topics: str) -> None:
    rows = "".join(f"{name}@example.org,{words}\n" for name, words in topics.items())
    path = here.write("people.csv", f"email,topics\n{rows}")
    here.run("subscriber", "import", path, "--basis", "a test")


def test_topics_are_offered_by_name_in_the_readers_language(here: Installation) -> None:
    here.run("topic", "add", "copyright", "--name", "en=Copyright", "--name", "fr=Droit d’auteur")
    here.run("topic", "add", "ip-offices")
    english, french = here.site.get("/?lang=en").text, here.site.get("/?lang=fr").text
    assert "> Copyright</label>" in english
    assert "> Droit d’auteur</label>" in french
    assert '> <bdi lang="" dir="auto">Ip offices</bdi></label>' in french, "without a name, its key in words"


def test_a_name_that_is_not_in_the_pages_language_says_which_one_it_is_in(here: Installation) -> None:
    """D-174 (WCAG 3.1.2): on the form, on the page to choose and in the summary; so that it is read out as it ought to
    be, and stands the right way round."""
    here.run("topic", "add", "copyright", "--name", "ar=حقوق المؤلف")
    here.subscribed("ada@example.org")
    settings = here.manage_link("ada@example.org").partition("?")[0]
    here.site.post(settings, data={"topics": "copyright"})
    marked, plain = '<bdi lang="ar" dir="rtl">حقوق المؤلف</bdi>', "حقوق المؤلف"
    for path in ("/", settings, f"{settings}/topics"):
        assert marked in here.site.get(path, query_string={"lang": "fr"}).text
        arabic = here.site.get(path, query_string={"lang": "ar"}).text
        assert plain in arabic
        assert marked not in arabic


def test_a_person_without_a_choice_gets_everything(here: Installation) -> None:
    here.run("topic", "add", "policy")
    here.sign_up("ada@example.org")
    assert chosen(here, "ada@example.org") == []


def test_a_topic_that_is_gone_when_the_form_comes_back_is_left_out(here: Installation) -> None:
    here.run("topic", "add", "policy")
    here.run("topic", "add", "old")
    here.run("topic", "remove", "old", "--retire")
    here.sign_up("ada@example.org", topics=["policy", "old", "never-was"])
    assert chosen(here, "ada@example.org") == ["policy"]


def test_topics_stand_in_the_order_that_the_operator_gives_them(here: Installation) -> None:
    for key in ("one", "two", "three"):
        here.run("topic", "add", key)
    here.run("topic", "rename", "three", "--position", "1")
    assert keys(here) == ["three", "one", "two"]
    page = here.site.get("/").text
    assert page.index('value="three"') < page.index('value="one"') < page.index('value="two"')


def test_an_announcement_makes_the_topics_it_names_and_says_so(here: Installation) -> None:
    here.run("topic", "add", "generative-ai")
    path = here.write("a.md", RECAP.replace("[policy]", "[policy, generative-ai]"))
    said = here.run("announcement", "add", path).stderr
    assert "new topic policy" in said
    assert "generative-ai" not in said
    assert keys(here) == ["generative-ai", "policy"]


def test_an_import_makes_the_topics_it_names(here: Installation) -> None:
    imported(here, ada="policy generative-ai", benoit="", chen="policy")
    assert keys(here) == ["policy", "generative-ai"]
    assert chosen(here, "ada@example.org") == ["policy", "generative-ai"]
    assert chosen(here, "benoit@example.org") == []


def test_only_a_topic_that_nobody_uses_is_simply_removed(here: Installation) -> None:
    imported(here, ada="policy", benoit="policy copyright")
    here.run("topic", "add", "unused")
    here.run("topic", "remove", "unused")
    said = here.error("topic", "remove", "policy")
    assert "2 subscribers chose 'policy'" in said
    assert "--into OTHER" in said
    assert keys(here) == ["policy", "copyright"]


def test_a_retired_topic_is_offered_no_longer_and_stays_with_those_who_chose_it(here: Installation) -> None:
    imported(here, ada="policy", benoit="policy copyright")
    said = here.run("topic", "remove", "policy", "--retire").stdout
    assert "2 subscribers keep it, 1 of them chose no other" in said
    assert 'value="policy"' not in here.site.get("/").text
    assert chosen(here, "ada@example.org") == ["policy"]
    here.run("topic", "add", "policy", "--name", "en=Policy")
    assert "> Policy</label>" in here.site.get("/").text


def test_a_topic_becomes_part_of_another(here: Installation) -> None:
    imported(here, ada="law", benoit="law policy", chen="policy")
    here.run("announcement", "add", here.write("a.md", RECAP.replace("[policy]", "[law, policy]")))
    said = here.run("topic", "remove", "law", "--into", "policy").stdout
    assert "policy takes over 2 subscribers and 1 announcements of law" in said
    for name in ("ada", "benoit", "chen"):
        assert chosen(here, f"{name}@example.org") == ["policy"]
    assert here.json("announcement", "list")[0]["topics"] == ["policy"]
    assert keys(here) == ["policy"]


@sqlite_only
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "Policy!"), "is not a word of a-z, 0-9 and hyphens"),
        (("add", "policy"), "there is a topic 'policy' already"),
        (("rename", "polcy", "--name", "en=x"), "did you mean 'policy'?"),
        (("remove", "nothing"), "'mailer topic list' shows all of them"),
        (("remove", "policy", "--into", "policy"), "can't become part of itself"),
        (("remove", "policy", "--into", "nothing"), "there is no topic 'nothing'"),
    ],
)
def test_what_can_not_be_is_said_in_one_line(here: Installation, arguments: tuple[str, ...], said: str) -> None:
    here.run("topic", "add", "policy")
    assert said in here.error("topic", *arguments)
    assert keys(here) == ["policy"]


@sqlite_only
@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "policy", "--name", "Policy"),
        ("add", "policy", "--name", "en="),
        ("add", "policy", "--name", "en=a\x07b"),
        ("add", "policy", "--name", "tlh=chut"),
        ("add", "policy", "--position", "0"),
        ("rename", "policy"),
        ("remove", "policy", "--into", "x", "--retire"),
    ],
)
def test_wrong_usage_ends_with_2_and_makes_nothing(here: Installation, arguments: tuple[str, ...]) -> None:
    here.run("topic", *arguments, code=2)
    assert keys(here) == []


def test_choices_from_before_topics_had_a_table_are_taken_over(here: Installation) -> None:
    """The upgrade of an installation that people use, and back."""
    here.run("announcement", "add", here.write("a.md", RECAP.replace("[policy]", "[law]")))
    imported(here, ada="policy copyright", benoit="", chen="policy")
    with here.app.app_context():
        downgrade(revision="0003")
        query = sa.text("SELECT topics FROM subscription ORDER BY id")
        rows = [json.loads(row) if isinstance(row, str) else row for row in db.session.scalars(query)]
        assert [sorted(row) for row in rows] == [["copyright", "policy"], [], ["policy"]]
        db.session.remove()
        upgrade()
    assert keys(here) == ["copyright", "law", "policy"]
    assert chosen(here, "ada@example.org") == ["copyright", "policy"]
    assert chosen(here, "benoit@example.org") == []
