"""`mailer demo --once`: the whole story without a browser, over real HTTP and real SMTP, checked at every step."""

import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from mailer.demo.catcher import Caught
from mailer.demo.instance import Instance
from mailer.digests import compose, sending
from mailer.errors import MailerError

WAIT_SECONDS = 20.0
PEOPLE = {"ada@example.org": "en", "benoit@example.org": "fr", "chen@example.org": "en"}


class StoryFailed(MailerError):
    pass


class Story:
    """Three people sign up, two confirm, a digest goes out, one leaves, a second digest goes out."""

    def __init__(self, instance: Instance, base_url: str, say: Callable[[str], None]) -> None:
        self.instance, self.base_url, self.say = instance, base_url, say
        self.expected: list[str] = []

    def play(self) -> None:
        """Raises StoryFailed at the first thing that didn't happen as it should."""
        for address, language in PEOPLE.items():
            self.sign_up(address, language)
        for address in ("ada@example.org", "benoit@example.org"):
            self.confirm(address)
        self.digest(self.instance.digest_id, ["ada@example.org", "benoit@example.org"])
        self.leave("benoit@example.org")
        with self.instance.app.app_context():
            recap = compose.find(self.instance.digest_id).announcements[0].id
            second = compose.compose(
                compose.Choice([recap]), compose.Wishes(title="Once more: what 160 countries discussed", again=True)
            ).id
        self.digest(second, ["ada@example.org"])
        self.check_nothing_else()

    def sign_up(self, address: str, language: str) -> None:
        page = self.post(f"/subscribe?lang={language}", email=address, language=language)
        self.check("Check your mail" in page or language != "en", "the form answers 'Check your mail'")
        self.arrives(address)
        self.say(f"{address} signed up on the form and got a letter to confirm ({language})")

    def confirm(self, address: str) -> None:
        link = self.link(self.letters(address)[-1], "confirm")
        self.get(link)
        self.post(link)
        self.say(f"{address} followed the link and confirmed")

    def digest(self, digest_id: int, readers: list[str]) -> None:
        with self.instance.app.app_context():
            status = sending.send(digest_id, stop=threading.Event())
        self.check(status.tally.accepted == len(readers), f"digest {digest_id} goes to {len(readers)}")
        for address in readers:
            self.arrives(address)
            letter = self.letters(address)[-1]
            language = str(letter.message["Content-Language"])
            self.check(language == PEOPLE[address], f"{address} gets the digest in {PEOPLE[address]}")
            self.say(f"{address} got digest {digest_id}: {letter.subject} ({language})")

    def leave(self, address: str) -> None:
        header = str(self.letters(address)[-1].message["List-Unsubscribe"])
        self.post(header.partition(">")[0].lstrip("<"), **{"List-Unsubscribe": "One-Click"})
        self.say(f"{address} left the list by one-click unsubscribe")

    def arrives(self, address: str) -> None:
        """Wait until one more mail has come to `address`."""
        self.expected.append(address)
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.letters(address)) < self.expected.count(address):
            self.check(time.monotonic() < deadline, f"a mail to {address} arrives in {WAIT_SECONDS:.0f} s")
            time.sleep(0.02)

    def letters(self, address: str) -> list[Caught]:
        return [mail for mail in self.instance.catcher.mails if mail.recipient == address]

    def link(self, mail: Caught, page: str) -> str:
        found = re.findall(rf"{re.escape(self.base_url)}/{page}/\S+", mail.part("plain"))
        self.check(len(found) == 1, f"the letter has exactly one /{page}/ link")
        return str(found[0])

    def get(self, address: str) -> str:
        return self.fetch(urllib.request.Request(address))  # noqa: S310 - our own address

    def post(self, address: str, **fields: str) -> str:
        body = urllib.parse.urlencode(fields).encode()
        url = urllib.parse.urljoin(self.base_url, address)
        return self.fetch(urllib.request.Request(url, body))  # noqa: S310 - our own address

    def fetch(self, request: urllib.request.Request) -> str:
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310 - as above
                return str(answer.read().decode())
        except urllib.error.URLError as error:
            raise StoryFailed(f"{request.get_method()} {request.full_url.split('?')[0]}: {error}") from error

    def check(self, fulfilled: bool, what: str) -> None:
        if not fulfilled:
            raise StoryFailed(f"this should have happened and did not: {what}")

    def check_nothing_else(self) -> None:
        received = sorted(mail.recipient for mail in self.instance.catcher.mails)
        self.check(received == sorted(self.expected), "these mails arrived, and nothing else")
        self.say(f"{len(received)} mails arrived: each that ought to, and nothing else")
