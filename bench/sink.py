"""A mail server in a process of its own that takes everything and counts it: `python -m bench.sink` prints its port.

Plain and quick rather than clever: one thread a connection. On SIGTERM it prints what it took as JSON: messages,
recipients, how many different recipients, bytes.
"""

import json
import signal
import socketserver
import sys
import threading
from types import FrameType

REPLIES = {
    b"EHLO": b"250-sink.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Count:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.messages = self.bytes = 0
        self.recipients: list[bytes] = []

    def add(self, recipients: list[bytes], size: int) -> None:
        with self.lock:
            self.messages += 1
            self.bytes += size
            self.recipients += recipients


class Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    count: Count

    def handle(self) -> None:
        self.wfile.write(b"220 sink.example.org ESMTP\r\n")
        recipients: list[bytes] = []
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipients.append(line.split(b"<")[1].split(b">")[0])
            self.wfile.write(REPLIES.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                size = 0
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    size += len(line)
                self.count.add(recipients, size)
                recipients = []
                self.wfile.write(b"250 queued\r\n")
            if verb == b"QUIT":
                return


class Sink(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    Conversation.count = count = Count()
    with Sink(("127.0.0.1", 0), Conversation) as server:

        def report(_signal: int, _frame: FrameType | None) -> None:
            taken = {"messages": count.messages, "recipients": len(count.recipients)}
            taken |= {"different": len(set(count.recipients)), "bytes": count.bytes}
            print(json.dumps(taken), flush=True)
            sys.exit(0)

        signal.signal(signal.SIGTERM, report)
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
