"""The form, the confirmation and its evidence, as a visitor meets them."""

import pytest
import time_machine

from ..installation import Installation, link_in


def test_a_person_signs_up_gets_one_letter_and_confirms(here: Installation) -> None:
    assert "Check your mail" in here.sign_up("ada@example.org")
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["ada@example.org"]
    here.confirm("ada@example.org")
    assert here.counts() == {"pending": 0, "confirmed": 1, "ended": 0}


def test_opening_the_link_does_not_confirm(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    link = link_in(here.letters("ada@example.org")[0], "confirm")
    for method in ("GET", "HEAD", "OPTIONS"):
        here.site.open(link, method=method)
    assert here.json("stats")["confirmed"] == 0


def test_confirming_twice_is_confirming_once(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")
    again = here.site.post(link_in(here.letters("ada@example.org")[0], "confirm"))
    assert (again.status_code, "You are subscribed" in again.text) == (200, True)
    events = here.json("subscriber", "show", "ada@example.org")["consent"]
    assert [event["kind"] for event in events] == ["asked", "confirmed"]


def test_the_answer_is_the_same_for_every_state_of_an_address(here: Installation) -> None:
    here.subscribed("confirmed@example.org", "left@example.org")
    here.run("subscriber", "unsubscribe", "left@example.org")
    here.sign_up("pending@example.org")
    answers = {here.sign_up(f"{state}@example.org") for state in ("new", "pending", "confirmed", "left")}
    assert len(answers) == 1


def test_who_is_subscribed_already_is_told_by_mail_and_only_once_a_week(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.sign_up("ada@example.org")
    here.sign_up("ada@example.org")
    here.run("run-due")
    assert [mail.subject for mail in here.mail_server.mails] == ["You are already subscribed to Frontier Technologies"]


def test_asking_twice_within_ten_minutes_writes_one_letter(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.sign_up("ADA@Example.ORG")
    here.run("run-due")
    assert len(here.mail_server.mails) == 1


def test_who_left_can_come_back(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("subscriber", "unsubscribe", "ada@example.org")
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")
    assert here.json("stats")["confirmed"] == 1


def test_an_old_link_does_not_bring_back_who_left(here: Installation) -> None:
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.confirm("ada@example.org")
    here.run("subscriber", "unsubscribe", "ada@example.org")
    answer = here.site.post(link_in(here.letters("ada@example.org")[0], "confirm"))
    assert (answer.status_code, here.json("stats")["confirmed"]) == (410, 0)


def test_a_link_expires_after_seven_days_and_offers_another_try(here: Installation) -> None:
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.sign_up("ada@example.org")
        here.run("run-due")
        link = link_in(here.letters("ada@example.org")[0], "confirm")
        clock.move_to("2026-03-08T11:59:00Z")
        assert here.site.get(link).status_code == 200
        clock.move_to("2026-03-08T12:01:00Z")
        answer = here.site.post(link)
    assert (answer.status_code, 'href="/?lang=en"' in answer.text) == (410, True)


@pytest.mark.parametrize(
    "given", ["", "   ", "ada", "ada@", "@example.org", "ada@example.org\r\nBcc: x@y.org", "a" * 300 + "@example.org"]
)
def test_what_is_no_address_is_said_beside_the_field(here: Installation, given: str) -> None:
    answer = here.site.post("/subscribe", data={"email": given})
    assert answer.status_code == 400
    assert 'id="email-error"' in answer.text
    assert 'aria-describedby="email-error"' in answer.text
    assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 0}


@pytest.mark.parametrize("fields", [{"language": "tlh"}, {"frequency": "hourly"}, {"topics": ["Not a topic!"]}])
def test_a_choice_that_does_not_exist_is_refused(here: Installation, fields: dict[str, str]) -> None:
    assert here.site.post("/subscribe", data={"email": "ada@example.org", **fields}).status_code == 400
    assert here.site.post("/api/v1/subscriptions", json={"email": "ada@example.org", **fields}).status_code == 400


def test_choices_are_kept(here: Installation) -> None:
    for topic in ("policy", "generative-ai"):
        here.run("topic", "add", topic)
    here.sign_up("ada@example.org", language="fr", frequency="monthly", topics=["policy", "generative-ai"])
    record = here.json("subscriber", "show", "ada@example.org")
    kept = {name: record[name] for name in ("language", "frequency", "topics")}
    assert kept == {"language": "fr", "frequency": "monthly", "topics": ["policy", "generative-ai"]}


def test_the_evidence_says_what_was_agreed_to_and_from_where(here: Installation) -> None:
    here.site.post("/subscribe?lang=fr", data={"email": "ada@example.org"}, headers={"User-Agent": "Tester/1"})
    event = here.json("subscriber", "show", "ada@example.org")["consent"][0]
    assert (event["ip"], event["user_agent"], event["language"]) == ("127.0.0.1", "Tester/1", "fr")
    assert event["source"] == "http://127.0.0.1:8000/subscribe"
    assert "Frontier Technologies" in event["wording"]


def test_the_language_is_the_one_asked_for_else_the_browsers(here: Installation) -> None:
    french = {"Accept-Language": "fr-CH, en;q=0.5"}
    assert '<html lang="fr"' in here.site.get("/", headers=french).text
    assert '<html lang="en"' in here.site.get("/?lang=en", headers=french).text
    assert '<html lang="en"' in here.site.get("/", headers={"Accept-Language": "tlh"}).text


def test_letters_come_in_the_language_of_the_person(here: Installation) -> None:
    here.sign_up("benoit@example.org", language="fr")
    here.run("run-due")
    letter = here.letters("benoit@example.org")[0]
    assert letter.message["Content-Language"] == "fr"
    assert link_in(letter, "confirm").endswith("?lang=fr")


def test_the_api_answers_like_the_form(here: Installation) -> None:
    answers = [
        here.site.post("/api/v1/subscriptions", json={"email": "ada@example.org", "language": "fr"}) for _ in range(2)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert answers[0].data == answers[1].data
    assert here.json("subscriber", "show", "ada@example.org")["language"] == "fr"


@pytest.mark.parametrize("body", [None, [], "text", {}, {"email": 7}, {"email": "no"}, {"email": ["a@b.org", 1]}])
def test_the_api_refuses_what_it_can_not_read(here: Installation, body: object) -> None:
    answer = here.site.post("/api/v1/subscriptions", json=body)
    assert (answer.status_code, "error" in answer.get_json()) == (400, True)


def test_links_in_letters_come_from_the_settings_and_from_nothing_else(here: Installation) -> None:
    answer = here.site.post("/subscribe", data={"email": "ada@example.org"}, headers={"X-Forwarded-Host": "evil.test"})
    assert answer.status_code == 200
    assert here.site.post("/subscribe", data={"email": "b@y.org"}, headers={"Host": "evil.test"}).status_code == 400
    here.run("run-due")
    assert "evil" not in here.mail_server.mails[0].raw.decode()
    assert len(here.mail_server.mails) == 1


def test_an_operator_adds_somebody_who_still_has_to_confirm(here: Installation) -> None:
    here.run("subscriber", "add", "ada@example.org", "--language", "fr")
    here.run("run-due")
    here.confirm("ada@example.org")
    assert here.json("stats")["confirmed"] == 1
