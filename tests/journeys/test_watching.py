"""An installation seen by those who watch over it: /healthz, /metrics, `mailer top`."""

import time
from datetime import timedelta

import pytest
import time_machine
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from mailer.db import now, transaction

from ..installation import Installation
from ..servers.smtp import PATIENCE
from .test_processes import finish, start

TOKEN = "a token that opens the metrics"


def health(here: Installation, status: int = 200) -> dict[str, object]:
    answer = here.site.get("/healthz")
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.get_json()
    return found


def samples(here: Installation) -> dict[tuple[str, str], float]:
    """{(name, labels): value} of all that /metrics says."""
    answer = here.site.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return {
        (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_healthy_installation_says_so(here: Installation) -> None:
    assert health(here) == {
        "status": "ok",
        "list": "frontier-technologies",
        "waiting": {"letters": 0, "seconds": 0},
        "sender_seen": None,
    }
    here.run("run-due")
    assert health(here)["sender_seen"] == pytest.approx(0, abs=60)


def test_mail_that_nobody_sends_is_late(here: Installation) -> None:
    """Nobody runs `run-due`: pages work, so the answer is 200, but somebody should look."""
    here.sign_up("ada@example.org")
    with time_machine.travel(now() + timedelta(minutes=9), tick=False):
        assert health(here)["status"] == "ok"
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        found = health(here)
        assert (found["status"], found["waiting"]) == ("late", {"letters": 1, "seconds": pytest.approx(660, abs=60)})
    here.run("run-due")
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        found = health(here)
        assert (found["status"], found["sender_seen"]) == ("ok", pytest.approx(660, abs=60))


def test_a_digest_that_stopped_in_mid_run_is_late(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "451 4.3.0 later")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", code=1)
    assert health(here)["status"] == "ok", "a second try is not due yet"
    with time_machine.travel(now() + timedelta(hours=3), tick=False):
        assert health(here)["status"] == "late"


def test_a_database_of_another_version_is_said_before_it_does_harm(here: Installation) -> None:
    with here.app.app_context(), transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert health(here, 503) == {
        "status": "down",
        "migrations": health(here, 503)["migrations"],
    }
    assert "run 'mailer init'" in str(health(here, 503)["migrations"])


def test_a_database_that_is_gone_is_down_and_not_described_to_everybody(here: Installation) -> None:
    with here.app.app_context(), transaction() as session:
        session.execute(text("DROP TABLE alembic_version"))
    assert health(here, 503) == {"status": "down"}


def test_metrics_are_for_those_who_have_the_token(here: Installation) -> None:
    assert here.site.get("/metrics").status_code == 404, "without a setting there is no such page"
    assert here.site.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    here.configure(METRICS_TOKEN=TOKEN)
    for header in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer ü"}):
        assert here.site.get("/metrics", headers=header).status_code == 404
    assert here.site.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_metrics_tell_what_the_ledger_knows(here: Installation) -> None:
    here.configure(METRICS_TOKEN=TOKEN)
    here.imported(3)
    here.mail_server.answer("RCPT", "person1@", "550 5.1.1 no such user")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    before = samples(here).get(("mailer_letter_seconds_count", ""), 0.0)
    here.sign_up("ada@example.org")
    waiting = samples(here)
    assert waiting["mailer_waiting_letters", ""] == 1
    assert waiting["mailer_subscriptions", "state=confirmed"] == 3
    assert waiting["mailer_confirm_ratio", ""] == 0, "people who were imported never had to confirm"
    assert waiting["mailer_digest_letters", f"digest={digest},state=accepted"] == 2
    assert waiting["mailer_digest_letters", f"digest={digest},state=bounced"] == 1
    assert ("mailer_heartbeat_seconds", "") not in waiting
    here.run("run-due")
    here.confirm("ada@example.org")
    sent = samples(here)
    assert sent["mailer_waiting_letters", ""] == 0
    assert sent["mailer_confirm_ratio", ""] == 1
    assert sent["mailer_heartbeat_seconds", ""] < 60
    assert sent["mailer_letter_seconds_count", ""] == before + 1
    assert sent["mailer_request_seconds_count", "method=POST,page=signing_up.subscribe,status=200"] >= 1


def test_metrics_hold_no_address_and_no_token(here: Installation) -> None:
    here.configure(METRICS_TOKEN=TOKEN)
    here.mail_server.answer("RCPT", "eve@", "550 5.1.1 <eve@example.org> is unknown")
    here.subscribed("ada@example.org")
    here.sign_up("eve@example.org")
    here.run("run-due")
    here.site.get("/confirm/abcdefgh.1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    told = here.site.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    for secret in ("example.org", "abcdefgh", TOKEN):
        assert secret not in told


def test_top_shows_what_goes_out_and_what_goes_wrong(here: Installation) -> None:
    here.imported(4)
    here.mail_server.answer("RCPT", "person1@", "550 5.1.1 <person1@example.org> is unknown")
    here.mail_server.answer("RCPT", "person2@", "451 4.3.0 later")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", code=1)
    found = here.json("top")
    assert found["digests"][0]["accepted"] == 2
    assert found["slowest"] == [{"domain": "example.org", "letters": 1}]
    assert {each["state"] for each in found["failures"]} == {"bounced", "deferred"}
    assert found["heartbeat_seconds"] is None
    shown = here.run("top", "--once").stdout
    for words in ("4 confirmed, 0 pending", "2/4", "What 160 countries discussed", "Who puts letters off", "bounced"):
        assert words in shown
    assert "person1@example.org" not in shown, "the server's words hold an address"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_top_tells_how_many_connections_a_sender_has_open(here: Installation) -> None:
    here.imported(300)
    here.configure(SEND_RATE=10, SEND_SESSIONS=2)
    process = start(here, "digest", "send", here.draft(), "--yes")
    here.mail_server.wait_for(10)
    deadline = time.monotonic() + PATIENCE
    while (senders := here.json("top")["senders"]) and senders[0]["sessions"] != 2:
        assert time.monotonic() < deadline, senders
        time.sleep(0.2)
    assert senders
    process.terminate()
    finish(process)


def test_top_of_an_idle_installation_is_short(here: Installation) -> None:
    assert here.run("top", "--once").stdout.splitlines() == [
        "Frontier Technologies: 0 confirmed, 0 pending",
        "0 letters wait; nobody has done what is due yet",
    ]
