"""Machines that are none: network namespaces on a bridge, each with an address of its own, that can be cut off."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

ADVICE = "needs iproute2, and leave to make network namespaces (root): apt-get install iproute2"
NETWORK = "10.77.5"
HERE = f"{NETWORK}.1"  # the tests' own address


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def can_be_made() -> bool:
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"mailer-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    if made:
        ip("netns", "delete", name)
    return made


class Host:
    def __init__(self, name: str, number: int) -> None:
        self.name, self.address = f"mailer-{name}", f"{NETWORK}.{number}"

    @property
    def inside(self) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.name]

    def refuse(self, other: "Host") -> None:
        """Say nothing to another host any more. It is told nothing: its words get no answer."""
        ip("-n", self.name, "route", "add", "blackhole", f"{other.address}/32")

    def speak_to(self, other: "Host") -> None:
        ip("-n", self.name, "route", "delete", "blackhole", f"{other.address}/32")


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """These hosts, which reach each other and us."""
    bridge = f"mailer{os.getpid() % 100_000}"
    hosts = [Host(f"{os.getpid()}-{name}", number) for number, name in enumerate(names, 2)]
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{HERE}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, host in enumerate(hosts):
            plug = f"m{os.getpid() % 100_000}x{number}"
            ip("netns", "add", host.name)
            ip("link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            ip("link", "set", plug, "master", bridge, "up")
            ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", host.name, "link", "set", device, "up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
