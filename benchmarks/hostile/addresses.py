"""URLs that lead inside, on all six operations with pictures, in a network of their own.

    python -m benchmarks.hostile.addresses [--payloads FILE]

The run happens in a network namespace (unshare) where every address there is leads to loopback
and nothing leads out. A packet socket counts the connections and datagrams that are sent, to
whatever address and port; listeners take those on common ports; a resolver of its own answers
names under canary.test, some with another address each time. Bars: nothing but the allowed
connections, and every answer -45050.
"""

import argparse
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import skimage.data

from benchmarks.hostile.asking import Asker, in_json
from benchmarks.hostile.pictures import Target, served
from tests.malformed import pictures as make
from tests.malformed.addresses import PUBLIC, from_file, shipped

REFUSED = -45_050
PUBLIC_ADDRESS = "93.184.215.14"
PUBLIC_PORT = 10_080
LISTENING = (22, 80, 81, 443, 444, 6379, 8080, 9999, 10_000, 10_080, 10_443, 12_000, 12_001)
OPEN_PORTS = {80, 443, *range(10_000, 12_001)}
Seen = tuple[str, str, int]  # protocol, address, port


# --- the network


def prepare(folder: Path) -> None:
    """Let every address lead to loopback, and our resolver be the only one."""
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    for command in (
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
        "ip -6 route add local ::/0 dev lo",
        f"mount --bind {resolv} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)  # noqa: S603 - as written here


class Wire:
    """Everything that is sent, whoever listens or not."""

    def __init__(self) -> None:
        self.seen: Counter[Seen] = Counter()
        everything = 0x0003  # linux/if_ether.h, ETH_P_ALL
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(everything))
        self._socket.bind(("lo", 0))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            packet, where = self._socket.recvfrom(65_536)
            if where[2] != socket.PACKET_OUTGOING and (sent := _sent(packet)):
                self.seen[sent] += 1


def _sent(packet: bytes) -> Seen | None:
    """What a packet begins: a TCP connection, or a datagram."""
    if packet[0] >> 4 == 4:
        kind, to, rest = packet[9], packet[16:20], packet[4 * (packet[0] & 15) :]
    else:
        kind, to, rest = packet[6], packet[24:40], packet[40:]
    address, port = str(ip_address(to)), int.from_bytes(rest[2:4])
    if kind == socket.IPPROTO_TCP and rest[13] & 0x12 == 0x02:  # SYN without ACK
        return "tcp", address, port
    if kind == socket.IPPROTO_UDP:
        return "udp", address, port
    return None


class Resolver:
    """Answers names under canary.test over UDP; `asked` counts questions for IPv4 by name."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            with suppress(OSError):
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        name, end = _question(query)
        (kind,) = struct.unpack(">H", query[end : end + 2])
        found = self._addresses(name, kind)
        code = 3 if found is None else 0  # no such name
        records = [_record(address) for address in found or []]
        head = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        return head + query[12 : end + 4] + b"".join(records)

    def _addresses(self, name: str, kind: int) -> list[str] | None:
        host = name.removesuffix(".canary.test")
        if host == name:
            return None
        if kind == 1:
            self.asked[name] += 1
            # Those first asked for are outside, and inside from then on, or every other time.
            outside = self.asked[name] == 1 or (host.startswith("flip") and self.asked[name] % 2)
            fixed = V4.get(host.rstrip("0123456789-"))
            if fixed is None and not host.startswith(("rebind", "flip")):
                return None
            return fixed or [PUBLIC_ADDRESS if outside else "127.0.0.1"]
        return ["::1"] if kind == 28 and host == "private-v6" else []


V4 = {
    "public": [PUBLIC_ADDRESS],
    "loopback": ["127.0.0.1"],
    "cname": ["127.0.0.1"],
    "mixed": [PUBLIC_ADDRESS, "10.0.0.1"],
    "private-v": [PUBLIC_ADDRESS],
    "many": [PUBLIC_ADDRESS] * 20 + ["127.0.0.1"],
}


def _question(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(labels).lower(), at + 1


def _record(address: str) -> bytes:
    packed = ip_address(address).packed
    kind = 1 if len(packed) == 4 else 28
    return struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed


def listen() -> None:
    """Take connections on common ports, at whatever address."""
    for port in LISTENING:
        listener = socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256
        )
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_give, args=(connection,), daemon=True).start()


def _give(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        request = connection.recv(65_536).decode("latin-1")
        target = request.split(" ")[1] if request.count(" ") else "/"
        connection.sendall(_page(target))


def _page(target: str) -> bytes:
    path, _, query = target.partition("?")
    word, _, number = path[1:].partition("/")
    pages = {
        "go": lambda: _moved(query, number),
        "redirect": lambda: _moved(query.partition("to=")[2], query[5:8]),  # code=301&to=URL
        "chain": lambda: _moved(f"/chain/{int(number) - 1}" if int(number) else "/a.png"),
        "loop": lambda: _moved(target),
        "chain10": lambda: _moved(target),
        "chain11": lambda: _moved(target),
        "nowhere": lambda: _response("302 Found", b""),
        "refresh": lambda: _response("302 Found", b"", "Refresh: 0; url=http://127.0.0.1/"),
        "refresh-header": lambda: _response("302 Found", b"", "Refresh: 0; url=http://127.0.0.1/"),
        "location-crlf": lambda: _moved("http://127.0.0.1/\r\nX: y"),
    }
    return pages.get(word, lambda: _response("200 OK", make.png()))()


def _moved(to: str, status: str = "302") -> bytes:
    return _response(f"{status} Moved", b"", f"Location: {to}")


def _response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# --- the attack


@dataclass
class Report:
    """What was answered, and what went over the wire although it may not."""

    requests: int = 0
    codes: dict[str, Counter[int]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    lookups: str = ""

    @property
    def failures(self) -> list[str]:
        return self.unexpected + self.forbidden


class Victim:
    """A server with one registered face, and the six ways to send it a picture."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.face = make.jpeg(skimage.data.astronaut()[0:256, 96:352])  # type: ignore[no-untyped-call]
        asker = Asker(target.base, target.app_key)
        asker.json("/groups", {"groupId": "staff"})
        reply = asker.json("/groups/staff", {"image": in_json(self.face), "limit": 1})
        assert reply.code == 0, asker.answer
        self.face_id = asker.answer["data"]["addedFaces"][0]["faceId"]
        asker.close()

    def operations(self, url: str) -> Iterator[tuple[str, str, Mapping[str, object]]]:
        """Name, path and body of each."""
        hostile, face = {"url": url}, in_json(self.face)
        yield "detect", "/detect", {"image": hostile}
        yield "register", "/groups/staff", {"image": hostile, "limit": 1}
        yield "search", "/groups/staff/search?limit=1&threshold=1", {"image": hostile}
        sides = {"sourceImage": hostile, "targetImage": face}
        yield "compare source", "/compare?threshold=1", sides
        sides = {"sourceImage": face, "targetImage": hostile}
        yield "compare target", "/compare?threshold=1", sides
        path = f"/verify/groups/staff/faces/{self.face_id}"
        yield "verify", path, {"compareImage": hostile}


def attack(victim: Victim, urls: Sequence[str], report: Report, *, clients: int = 4) -> None:
    """Send every URL to every operation."""

    def send(first: int) -> list[tuple[str, str, int, int]]:
        asker, ends = Asker(victim.target.base, victim.target.app_key), []
        for url in urls[first::clients]:
            for name, path, body in victim.operations(url):
                reply = asker.json(path, body)
                ends.append((name, url, reply.status, reply.code))
        asker.close()
        return ends

    with ThreadPoolExecutor(clients) as threads:
        for ends in threads.map(send, range(clients)):
            for name, url, status, code in ends:
                report.requests += 1
                report.codes.setdefault(name, Counter())[code] += 1
                if (status, code) != (200, REFUSED):
                    report.unexpected.append(f"{name}: {url[:100]!r}: HTTP {status}, {code}")


def rebind(victim: Victim, resolver: Resolver, report: Report) -> None:
    """Names that lead outside first and inside next: the second picture is refused."""
    asker = Asker(victim.target.base, victim.target.app_key)
    for kind in ("rebind", "flip"):
        for at in range(len(list(victim.operations("")))):
            url = f"http://{kind}{at}.canary.test:{PUBLIC_PORT}/a.png"
            name, path, body = list(victim.operations(url))[at]
            first, second = (asker.json(path, body).code for _ in range(2))
            report.requests += 2
            if first == REFUSED or second != REFUSED:
                report.unexpected.append(f"{name}: {kind}: {first}, then {second}")
            if (asked := resolver.asked[f"{kind}{at}.canary.test"]) != 2:
                report.unexpected.append(f"{name}: {kind}: asked {asked} times for two pictures")
    asker.close()


def judge(seen: Counter[Seen], server: int, report: Report) -> None:
    """Which of the packets may not have been sent."""
    for (protocol, address, port), count in seen.items():
        to_server = (protocol, address, port) == ("tcp", "127.0.0.1", server)
        to_resolver = (protocol, address, port) == ("udp", "127.0.0.1", 53)
        answer = protocol == "udp" and address == "127.0.0.1" and port >= 32_768
        outside = protocol == "tcp" and address == PUBLIC_ADDRESS and port in OPEN_PORTS
        if not (to_server or to_resolver or answer or outside):
            report.forbidden.append(f"{count} x {protocol} {address} port {port}")


def inside(options: argparse.Namespace) -> Report:
    """The run itself, where nothing leads out."""
    urls = shipped(PUBLIC_PORT)[:: options.every]
    for file in options.payloads:
        urls += from_file(file, PUBLIC_PORT)
    report = Report()
    with ExitStack() as stack:
        prepare(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        resolver, wire = Resolver(), Wire()
        listen()
        target = stack.enter_context(served(url_allow=""))
        victim = Victim(target)
        attack(victim, urls, report)
        rebind(victim, resolver, report)
        time.sleep(0.2)
        judge(wire.seen, int(target.base.rpartition(":")[2]), report)
        report.lookups = f"{resolver.asked[PUBLIC]} of {PUBLIC}"
        if not wire.seen["tcp", PUBLIC_ADDRESS, PUBLIC_PORT]:
            report.unexpected.append("the public server was never reached: the run shows nothing")
    return report


def run(*arguments: str, timeout: float = 3_600) -> dict[str, object]:
    """The run in a namespace of its own; its report. Raises `Unsupported`."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise Unsupported("there is no unshare here")
    namespace = [unshare, "--user", "--map-root-user", "--net", "--mount"]
    if subprocess.run([*namespace, "true"], check=False).returncode:  # noqa: S603 - as written here
        raise Unsupported("this machine lets nobody make a network namespace")
    done = subprocess.run(  # noqa: S603 - our own module
        [*namespace, sys.executable, "-m", "benchmarks.hostile.addresses", "--inside", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=True,
    )
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


class Unsupported(Exception):
    """The run cannot be made on this machine."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--payloads", type=Path, action="append", default=[], help="further URLs")
    parser.add_argument("--every", type=int, default=1, help="only every n-th of our own URLs")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        report = inside(options)
        codes = {name: dict(counted) for name, counted in report.codes.items()}
        rows = {"requests": report.requests, "codes": codes, "lookups": report.lookups}
        print(json.dumps({**rows, "failures": report.failures[:40]}))
        return
    payloads = [f"--payloads={path.resolve()}" for path in options.payloads]
    result = run(*payloads, f"--every={options.every}")
    print(json.dumps(result, indent=2))
    sys.exit(bool(result["failures"]))


if __name__ == "__main__":
    main()
