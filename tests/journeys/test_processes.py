"""Real processes: the site with its sender, a sender that is killed, a disk that is full."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ..installation import Installation, link_in
from ..servers.ports import free_port
from ..servers.smtp import PATIENCE, SLOW, STALL

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def start(here: Installation, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mailer", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=here.folder, **{**pipes, **options})  # type: ignore[call-overload,no-any-return]


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=5 * PATIENCE)
    return process.returncode, out, err


@contextmanager
def serving(here: Installation) -> Iterator[str]:
    """`mailer serve` on a free port; it must end cleanly on SIGTERM."""
    port = free_port()
    process = start(here, "serve", "--port", str(port), env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout
    assert f"http://127.0.0.1:{port}" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    code, _, said = finish(process)
    assert (code, "Traceback" in said) == (0, False), said


@pytest.fixture
def served(here: Installation) -> Iterator[tuple[Installation, str]]:
    with serving(here) as url:
        yield here, url


def post(url: str, **fields: str) -> int:
    with urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode(), timeout=PATIENCE / 2) as answer:
        return int(answer.status)


def test_the_site_sends_its_letters_by_itself(served: tuple[Installation, str]) -> None:
    here, url = served
    assert post(f"{url}/subscribe", email="ada@example.org") == 200
    mail = here.mail_server.wait_for(1)[0]
    assert post(url + link_in(mail, "confirm")) == 200
    assert here.json("stats")["confirmed"] == 1


def senders(here: Installation) -> list[int]:
    """The ids of the processes that send beside a site of this installation."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"--beside" in words and (folder / "cwd").readlink() == here.folder:
                found.append(int(folder.name))
    return found


def wait_for_senders(here: Installation, wanted: int, but: Sequence[int] = ()) -> list[int]:
    deadline = time.monotonic() + 5 * PATIENCE
    while len(found := [each for each in senders(here) if each not in but]) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_sender_that_died_is_replaced(served: tuple[Installation, str]) -> None:
    here, url = served
    (first,) = wait_for_senders(here, 1)
    os.kill(first, signal.SIGKILL)
    assert post(f"{url}/subscribe", email="ada@example.org") == 200
    wait_for_senders(here, 1, but=[first])
    assert here.mail_server.wait_for(1)[0].to == "ada@example.org"


@sqlite_only
def test_a_sender_that_can_not_be_started_is_tried_again(served: tuple[Installation, str]) -> None:
    here, url = served
    (first,) = wait_for_senders(here, 1)
    site = int(Path(f"/proc/{first}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[1])
    before = resource.prlimit(site, resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.kill(first, signal.SIGKILL)
    time.sleep(1)
    resource.prlimit(site, resource.RLIMIT_NOFILE, before)
    wait_for_senders(here, 1, but=[first])
    assert post(f"{url}/subscribe", email="ada@example.org") == 200
    here.mail_server.wait_for(1)


def test_a_sender_does_not_outlive_its_site(here: Installation) -> None:
    """However that ended: two would be at work after the next start."""
    process = start(here, "serve", "--port", str(free_port()), env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout
    assert process.stdout.readline()
    here.sign_up("ada@example.org")
    here.mail_server.wait_for(1)  # it is at work
    assert len(senders(here)) == 1
    process.kill()
    wait_for_senders(here, 0)
    finish(process)


@sqlite_only
@pytest.mark.parametrize("program", [("serve", "--port", "0"), ("work",)], ids=["serve", "work"])
def test_whoever_ends_waits_for_the_mail_servers_last_word(here: Installation, program: tuple[str, ...]) -> None:
    """Also if it takes long: a letter on the wire would else be sent once more."""
    here.configure(MAIL_TIMEOUT=PATIENCE)
    here.sign_up("ada@example.org")
    here.mail_server.answer("DOT", "", SLOW)
    process = start(here, *program)
    wait_for_command(here, "DATA")
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(12)
    here.mail_server.rules.clear()
    code, _, said = finish(process)
    assert (code, "Traceback" in said, "died" in said) == (0, False, False), said
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["ada@example.org"]


def wait_for_command(here: Installation, name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(line.upper().startswith(name) for line in list(here.mail_server.commands)):
        assert time.monotonic() < deadline, here.mail_server.commands
        time.sleep(0.05)


@sqlite_only
def test_a_second_signal_ends_at_once(here: Installation) -> None:
    """What was on the wire is of unknown fate then, and the next start says so."""
    here.configure(MAIL_TIMEOUT=PATIENCE)
    here.imported(1)
    here.mail_server.answer("DOT", "", STALL)
    digest = here.draft()
    process = start(here, "digest", "send", digest, "--yes")
    wait_for_command(here, "DATA")
    time.sleep(0.5)  # its body goes out
    process.terminate()
    time.sleep(1)
    assert process.poll() is None
    process.terminate()
    assert finish(process)[0] != 0
    here.mail_server.rules.clear()
    here.run("digest", "send", digest)
    assert here.status(digest)["unknown"] == 1


@sqlite_only
@pytest.mark.parametrize("after", [0.0, 0.3, 1.0, 3.0])
def test_a_signal_to_site_and_sender_alike_is_a_quiet_end(here: Installation, after: float) -> None:
    """At whatever moment: a terminal and a service manager tell both."""
    port = str(free_port())
    process = start(here, "serve", "--port", port, env={**os.environ, "PYTHONUNBUFFERED": "1"}, process_group=0)
    assert process.stdout
    assert process.stdout.readline()
    time.sleep(after)
    others = senders(here)
    os.killpg(process.pid, signal.SIGINT)
    for each in others:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGTERM)
    code, _, said = finish(process)
    assert code == 0, said
    assert not re.search("Traceback|Aborted", said), said
    assert senders(here) == []


@sqlite_only
def test_a_sender_runs_nothing_that_lies_in_its_folder(here: Installation) -> None:
    here.write("click.py", "raise SystemExit('not this one')")
    command = str(Path(sys.executable).with_name("mailer"))
    process = subprocess.Popen(
        [command, "serve", "--port", str(free_port())], cwd=here.folder, stderr=subprocess.PIPE, text=True
    )
    here.sign_up("ada@example.org")
    here.mail_server.wait_for(1)
    process.terminate()
    assert finish(process)[::2] == (0, "")


def test_a_site_knows_how_long_its_letters_waited(here: Installation) -> None:
    here.configure(METRICS_TOKEN="t" * 32)
    with serving(here) as url:
        assert post(f"{url}/subscribe", email="ada@example.org") == 200
        here.mail_server.wait_for(1)
        asks = urllib.request.Request(f"{url}/metrics", headers={"Authorization": "Bearer " + "t" * 32})
        deadline = time.monotonic() + 5 * PATIENCE
        told = ""
        while "mailer_letter_seconds_count 1.0" not in told:
            assert time.monotonic() < deadline, told
            with urllib.request.urlopen(asks, timeout=PATIENCE) as answer:
                told = answer.read().decode()


def test_workers_share_the_work_and_take_over(here: Installation) -> None:
    """Two `mailer work` beside a site that sends nothing: one letter each, also when one of them is killed."""
    workers = [start(here, "work", env={**os.environ, "PYTHONUNBUFFERED": "1"}) for _ in range(2)]
    for worker in workers:
        assert worker.stdout
        assert "at work" in worker.stdout.readline()
    here.sign_up("ada@example.org")
    here.mail_server.wait_for(1)
    workers[0].kill()
    finish(workers[0])
    here.sign_up("bob@example.org")
    here.mail_server.wait_for(2)
    workers[1].send_signal(signal.SIGTERM)
    code, _, said = finish(workers[1])
    assert (code, "Traceback" in said) == (0, False), said
    assert sorted(mail.to for mail in here.mail_server.mails) == ["ada@example.org", "bob@example.org"]


def test_the_site_answers_while_the_mail_server_is_silent(here: Installation) -> None:
    """The sender waits for longer than who asks: a request that waited for it would be given up."""
    here.configure(MAIL_TIMEOUT=2 * PATIENCE)
    here.mail_server.answer("CONNECT", "", STALL)
    with serving(here) as url:
        for name in ("ada", "benoit", "chen"):
            assert post(f"{url}/subscribe", email=f"{name}@example.org") == 200
        assert here.mail_server.mails == []
        here.mail_server.rules.clear()
        here.mail_server.wait_for(3)


def test_a_site_that_a_script_started_ends_on_sigterm(here: Installation) -> None:
    """A shell without job control starts what it puts in the background with SIGINT ignored."""
    process = start(
        here,
        *("serve", "--port", str(free_port())),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout
    assert process.stdout.readline()
    process.terminate()
    assert finish(process)[0] == 0


@sqlite_only
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "request_", [b"POST /subscribe HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n", b"GET / HTTP/1.1\r\nA: \1\r\n\r\n"]
)
def test_what_the_server_refuses_by_itself_has_the_headers_too(
    here: Installation, request_: bytes, scheme: str
) -> None:
    """D-151"""
    here.configure(BASE_URL=f"{scheme}://lists.example.org")
    with serving(here) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(request_)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert (b"Strict-Transport-Security: max-age=" in answer) == (scheme == "https")
    assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.0 413", b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"Content-Security-Policy: default-src 'none'" in answer
    assert b"X-Content-Type-Options: nosniff" in answer


def test_a_port_that_is_taken_is_said(served: tuple[Installation, str]) -> None:
    here, url = served
    assert "choose another --port" in here.error("serve", "--port", url.rsplit(":", 1)[1])


def test_a_killed_sender_loses_nobody_and_doubles_nobody(here: Installation) -> None:
    here.imported(200)
    here.configure(SEND_RATE=100)
    digest = here.draft()
    process = start(here, "digest", "send", str(digest), "--yes")
    here.mail_server.wait_for(60)
    process.kill()
    finish(process)
    here.configure(SEND_RATE=0)
    code, out, said = finish(start(here, "digest", "send", str(digest)))
    assert code == 0, out + said
    account = here.status(digest)
    assert account["accepted"] + account["unknown"] == 200
    received = [mail.to for mail in here.mail_server.mails]
    assert len(received) == len(set(received)), "nobody has two copies"
    missing = {f"person{number}@example.org" for number in range(200)} - set(received)
    unknown = {row["email"] for row in here.json("digest", "report", digest) if row["state"] == "unknown"}
    assert missing <= unknown, "who has none is named"


def peak_memory(process: subprocess.Popen[str]) -> float:
    """The most that a process held at once until its end, in MB, as the kernel keeps it."""
    peak = 0.0
    while process.poll() is None:
        told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
        peak = max(peak, int(told[1]) / 1024 if told else 0)
        time.sleep(0.05)
    return peak


def test_two_thousand_get_a_copy_each_in_little_memory(here: Installation) -> None:
    here.imported(2000)
    process = start(here, "digest", "send", str(here.draft()), "--yes")
    peak = peak_memory(process)
    assert finish(process)[:2] == (0, "digest 1 sent: 2000 enlisted = 2000 accepted\n")
    assert {mail.to for mail in here.mail_server.mails} == {f"person{number}@example.org" for number in range(2000)}
    assert len(here.mail_server.mails) == 2000
    assert 10 < peak < 150, "megabytes"


def test_two_senders_at_once_send_once(here: Installation) -> None:
    """The first is slow until the second has had its answer."""
    here.imported(300)
    here.configure(SEND_RATE=5)
    digest = here.draft()
    first = start(here, "digest", "send", str(digest), "--yes")
    here.mail_server.wait_for(5)
    code, _, said = finish(start(here, "digest", "send", str(digest), "--yes"))
    assert (code, "another process" in said) == (3, True), said
    here.run("digest", "send", digest, "--rate", 0, code=3)
    assert finish(first)[0] == 0
    received = [mail.to for mail in here.mail_server.mails]
    assert sorted(received) == sorted(f"person{number}@example.org" for number in range(300))


def test_ctrl_c_ends_with_the_tally(here: Installation) -> None:
    here.imported(300)
    here.configure(SEND_RATE=30)
    digest = here.draft()
    process = start(here, "digest", "send", str(digest), "--yes")
    here.mail_server.wait_for(5)
    process.send_signal(signal.SIGTERM)
    code, out, said = finish(process)
    assert (code, "Traceback" in said) == (1, False), said
    assert "300 enlisted" in out
    assert f"mailer digest send {digest}" in said
    assert here.status(digest)["unknown"] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_takes_nothing_that_was_there(here: Installation) -> None:
    here.imported(100)
    rows = "".join(f"more{number}@example.org\n" for number in range(20_000))
    here.write("more.csv", f"email\n{rows}")

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    process = start(here, "subscriber", "import", "more.csv", "--basis", "test", preexec_fn=small_disk)
    code, _, said = finish(process)
    assert (code, len(said.strip().splitlines())) == (1, 1), said
    assert "nothing that was accepted is lost" in said
    assert here.json("stats")["confirmed"] >= 100
    here.run("subscriber", "import", "more.csv", "--basis", "test")
    assert here.json("stats")["confirmed"] == 20_100


def test_json_is_all_there_is_on_stdout(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    code, out, _ = finish(start(here, "digest", "send", str(digest), "--yes", "--json"))
    assert code == 0
    assert json.loads(out)["accepted"] == 2
