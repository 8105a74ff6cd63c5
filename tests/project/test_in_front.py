"""The samples in docs/ work as they are: nginx and gunicorn in front, no token and no address in their logs (D-154)."""

import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ..conftest import need
from ..installation import Installation
from ..journeys.test_processes import start
from ..servers.ports import free_port
from ..smtp.certificates import Authority

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DOCS = Path(__file__).parent.parent.parent / "docs"
HOST = "lists.example.org"
TOKEN = "dGhlIHRva2Vu.1.c2VjcmV0"
SECRET_PAGES = [f"/{page}/{TOKEN}" for page in ("confirm", "unsubscribe", "manage", "not-me")]
MAIN = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    {paths}
    include {folder}/mailer.conf;
}}
"""


def find_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


def wait_until(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"nobody listens on {port}")


@pytest.fixture
def behind(here: Installation) -> Iterator[tuple[Installation, int]]:
    """`mailer serve` as the README says for a server with a proxy; its port."""
    here.configure(BASE_URL=f"https://{HOST}", TRUSTED_PROXIES=1)
    port = free_port()
    with ended(start(here, "serve", "--port", str(port), "--no-sender")):
        wait_until(port)
        yield here, port


def post(url: str, headers: dict[str, str], context: ssl.SSLContext | None = None, **fields: str) -> int:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def client_of(here: Installation, email: str) -> str:
    return str(here.json("subscriber", "show", email)["consent"][0]["ip"])


def test_the_server_hands_on_what_a_proxy_says(behind: tuple[Installation, int]) -> None:
    """D-120, through the server itself and not only the application."""
    here, port = behind
    headers = {"X-Forwarded-For": "203.0.113.5, 198.51.100.7"}
    assert post(f"http://127.0.0.1:{port}/subscribe", headers, email="ada@example.org") == 200
    assert client_of(here, "ada@example.org") == "198.51.100.7"


def nginx_folder(folder: Path, upstream: int, plain: int, tls: int) -> Path:
    """The sample with ports, certificates and logs of this test."""
    Authority(folder).server_context(HOST)
    folder.chmod(0o755)
    sample = (DOCS / "nginx.conf").read_text(encoding="utf-8")
    for ours, theirs in {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl": f"listen 127.0.0.1:{tls} ssl",
        f"/etc/letsencrypt/live/{HOST}/fullchain.pem": f"{folder}/{HOST}-False.pem",
        f"/etc/letsencrypt/live/{HOST}/privkey.pem": f"{folder}/{HOST}-False.pem",
        "/var/log/nginx": str(folder),
    }.items():
        assert ours in sample
        sample = sample.replace(ours, theirs)
    sample = re.sub(r"\n\s*listen \[::\]:.*", "", sample)
    (folder / "mailer.conf").write_text(sample, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n    ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, paths=paths), encoding="utf-8")
    return folder / "nginx.conf"


def test_nginx_takes_the_sample_and_logs_no_token(behind: tuple[Installation, int], tmp_path: Path) -> None:
    here, upstream = behind
    nginx = find_nginx()
    need("nginx", nginx, "the sample for nginx needs it: apt-get install nginx-light")
    folder = tmp_path / "nginx"
    folder.mkdir()
    plain, tls = free_port(), free_port()
    conf = nginx_folder(folder, upstream, plain, tls)
    checked = subprocess.run([str(nginx), "-t", "-c", str(conf)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    command = [str(nginx), "-c", str(conf), "-g", "daemon off;"]
    with ended(subprocess.Popen(command, stderr=subprocess.PIPE, text=True)):
        wait_until(tls)
        trusting = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        trusting.check_hostname = False
        url, headers = f"https://127.0.0.1:{tls}", {"Host": HOST, "X-Forwarded-For": "203.0.113.5"}
        assert post(f"{url}/subscribe?ref=ada@example.org", headers, trusting, email="ada@example.org") == 200
        assert client_of(here, "ada@example.org") == "127.0.0.1", "what a visitor writes goes no further"
        for page in SECRET_PAGES:
            assert post(url + page, {**headers, "Referer": url + page}, trusting) in (404, 405)
        assert post(f"{url}/subscribe", headers, trusting, email="a" * 70_000) == 413
        told = (folder / "mailer.log").read_text(encoding="utf-8")
    everything = told + (folder / "mailer.error.log").read_text(encoding="utf-8")
    assert TOKEN not in everything
    assert "ada@" not in everything
    assert [told.count(f'"POST /{page}/* HTTP') for page in ("confirm", "unsubscribe", "manage", "not-me")] == [1] * 4
    assert '"POST /subscribe HTTP/1.1" 200' in told


@contextmanager
def gunicorn(here: Installation) -> Iterator[str]:
    """One process with the sample's settings; its address. What it says is in `gunicorn.log`."""
    here.configure(BASE_URL=f"https://{HOST}", TRUSTED_PROXIES=1)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", str(DOCS / "gunicorn.conf.py"), "--workers", "1"]
    command += ["--bind", f"127.0.0.1:{port}", "mailer.app:create_app()"]
    with (here.folder / "gunicorn.log").open("w") as file:
        server = subprocess.Popen(command, cwd=here.folder, stdout=file, stderr=file, text=True)
    with ended(server):
        wait_until(port)
        yield f"http://127.0.0.1:{port}"


def test_gunicorn_tells_a_flood_to_come_again(here: Installation) -> None:
    """While more than twenty wait for a thread; whoever gets the usual answer is there."""
    database = sqlite3.connect(here.folder / "mailer.db", isolation_level=None)
    with gunicorn(here) as url, closing(database) as busy, ThreadPoolExecutor(60) as people:
        busy.execute("BEGIN IMMEDIATE")
        asking = [people.submit(ask_from, url, number) for number in range(60)]
        time.sleep(2)  # until they all wait
        busy.rollback()
        answers = [each.result() for each in asking]
    assert set(answers) == {200, 503}
    assert here.counts()["pending"] == answers.count(200)


def ask_from(url: str, number: int) -> int:
    headers = {"Host": HOST, "X-Forwarded-For": f"198.51.{number}.7"}
    return post(f"{url}/subscribe", headers, email=f"person{number}@example.org")


def test_gunicorn_takes_the_sample_and_logs_no_token(here: Installation) -> None:
    with gunicorn(here) as url:
        headers = {"Host": HOST, "X-Forwarded-For": "198.51.100.7"}
        assert post(f"{url}/subscribe?ref=ada@example.org", headers, email="ada@example.org") == 200
        for page in SECRET_PAGES:
            assert post(url + page, {**headers, "Referer": url + page}) in (404, 405)
    log = here.folder / "gunicorn.log"
    told = log.read_text(encoding="utf-8")
    assert client_of(here, "ada@example.org") == "198.51.100.7"
    assert TOKEN not in told
    assert "ada@" not in told
    assert [told.count(f'"POST /{page}/* HTTP') for page in ("confirm", "unsubscribe", "manage", "not-me")] == [1] * 4
