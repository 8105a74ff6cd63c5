"""A mail server that hands mail over by LMTP (RFC 2033), and hears for each recipient what became of it."""

import socket


class Giver:
    """Use as a context manager; `where` is HOST:PORT or unix:PATH."""

    def __init__(self, where: str) -> None:
        host, _, port = where.rpartition(":")
        self.socket = socket.socket(socket.AF_UNIX if host == "unix" else socket.AF_INET)
        self.socket.settimeout(30)
        self.socket.connect(port if host == "unix" else (host, int(port)))
        self.replies = self.socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self) -> "Giver":
        assert self.say("LHLO mail.example.org").startswith("250")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.replies.close()
        self.socket.close()

    def reply(self) -> str:
        """The last line of a reply; empty if there was none."""
        while (line := self.replies.readline().decode().strip())[3:4] == "-":
            pass
        return line

    def say(self, line: str | bytes) -> str:
        self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def give(self, message: bytes, *recipients: str, sender: str = "ada@example.org") -> list[str]:
        """What is said to each recipient, at RCPT if it is refused there, else of the mail: `message` is what goes
        over the wire before the last dot."""
        assert self.say(f"MAIL FROM:<{sender}>{'' if sender.isascii() else ' SMTPUTF8'}").startswith("250")
        said = [self.say(f"RCPT TO:<{each}>") for each in recipients]
        if any(map(is_taken, said)):
            assert self.say("DATA").startswith("354")
            self.socket.sendall(message + b".\r\n")
        else:
            self.say("RSET")
        return [self.reply() if is_taken(words) else words for words in said]


def is_taken(reply: str) -> bool:
    return reply.startswith("250")
