"""A digest with Flask-Mail, in a loop as its documentation shows ("Bulk emails"), one connection for all.

    python -m bench.flask_mail_loop PORT COUNT

Prints the seconds of the loop as JSON. Compiled templates, people and their links are ready before the clock starts.
"""

import json
import secrets
import sys
import time
from dataclasses import dataclass

from flask import Flask
from flask_mail import Mail, Message
from jinja2 import Environment

SENTENCE = "The office looked at how applications are examined, what applicants ask most, and where time is lost."
PARAGRAPHS = [SENTENCE] * 34  # a copy is as long as the product's
TEXT = """Dear {{ user.email }},
{% for paragraph in paragraphs %}
{{ paragraph }}
{% endfor %}
You are receiving this mail because your address is on the mailing list.
Unsubscribe:
{{ user.url }}
"""
HTML = """<!doctype html>
<html lang="en">
<body>
<p>Dear {{ user.email }},</p>
{% for paragraph in paragraphs %}
<p style="margin: 0 0 16px">{{ paragraph }}</p>
{% endfor %}
<p>You are receiving this mail because your address is on the mailing list.</p>
<p><a href="{{ user.url }}">Unsubscribe</a></p>
</body>
</html>
"""


@dataclass(frozen=True)
class User:
    email: str
    url: str


def people(count: int) -> list[User]:
    site = "https://lists.example.org/unsubscribe"
    return [User(f"person{number:07}@example.org", f"{site}/{secrets.token_urlsafe(32)}") for number in range(count)]


def send(mail: Mail, users: list[User]) -> float:
    """Seconds from opening the connection to closing it."""
    templates = Environment(autoescape=True)
    text, html = templates.from_string(TEXT), templates.from_string(HTML)
    begun = time.perf_counter()
    with mail.connect() as connection:
        for user in users:
            message = Message(
                subject="What the working group found, and 2 more",
                recipients=[user.email],
                body=text.render(user=user, paragraphs=PARAGRAPHS),
                html=html.render(user=user, paragraphs=PARAGRAPHS),
                extra_headers={
                    "List-Unsubscribe": f"<{user.url}>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
            )
            connection.send(message)
    return time.perf_counter() - begun


def main(port: int, count: int) -> None:
    app = Flask(__name__)
    sender = "Example News <news@lists.example.org>"
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEFAULT_SENDER=sender)
    mail = Mail(app)
    with app.app_context():
        print(json.dumps({"seconds": send(mail, people(count))}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
