"""Requests that arrive at a fixed rate whatever becomes of them, in a process of its own.

    python -m bench.arrivals PORT RATE < requests

Each line of standard input is a path and a form's fields, apart by a blank. Each is sent as a POST at its own moment,
on a connection that is free or on a new one. Its time runs from the moment it was due, so a server that stalls is not
spared those that had to wait. Prints a JSON array: status and milliseconds of every answer, in the order of the lines.
"""

import asyncio
import json
import sys
import time

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE = 30.0  # seconds, after which a request counts as failed


class Client:
    def __init__(self, port: int) -> None:
        self.port = port
        self.free: list[Connection] = []

    async def send(self, path: str, fields: str, due: float) -> tuple[str, float]:
        try:
            status = await asyncio.wait_for(self.ask(path, fields.encode()), PATIENCE)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            status = type(error).__name__
        return status, 1000 * (time.monotonic() - due)

    async def ask(self, path: str, body: bytes) -> str:
        reader, writer = connection = self.free.pop() if self.free else await self.connect()
        kind = "application/x-www-form-urlencoded"
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(int(line.split(":")[1]) for line in answer.lower().splitlines() if "content-length:" in line)
        await reader.readexactly(length)
        self.free.append(connection)
        return answer.split()[1]

    async def connect(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self.port)


async def arrive(port: int, rate: float, requests: list[list[str]]) -> list[tuple[str, float]]:
    client, begun = Client(port), time.monotonic() + 0.2
    tasks = []
    for number, (path, fields) in enumerate(requests):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(client.send(path, fields, due)))
    return await asyncio.gather(*tasks)


def main() -> None:
    requests = [line.split() for line in sys.stdin]
    print(json.dumps(asyncio.run(arrive(int(sys.argv[1]), float(sys.argv[2]), requests))))


if __name__ == "__main__":
    main()
