"""URLs that mean no good: every spelling of addresses inside, odd schemes, ports and redirects.

Names under canary.test are those of the resolver in `benchmarks.hostile.addresses`.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

PUBLIC = "public.canary.test"

# Loopback, private, shared, link-local with the clouds' metadata, Azure's host agent, Oracle's
# metadata, benchmarking, documentation, multicast, reserved.
INSIDE = """
    127.0.0.1 127.127.127.127 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1
    100.100.100.200 169.254.169.254 169.254.170.2 168.63.129.16 192.0.0.192 198.18.0.1 203.0.113.1
    192.88.99.1 224.0.0.1 240.0.0.1 255.255.255.255
"""
INSIDE_V6 = """
    ::1 :: 0000::1 fe80::1 fec0::1 fc00::1 fd00:ec2::254 fd20:ce::254 ff02::1 2001:db8::1 3fff::1
    5f00::1 100::1 2001::1 64:ff9b:1::1 ::ffff:0:127.0.0.1 2620:4f:8000::1
"""


def _quads(address: int) -> tuple[int, ...]:
    return tuple(address.to_bytes(4))


def _joined(template: str) -> Callable[[int], str]:
    return lambda address: ".".join(template.format(part) for part in _quads(address))


def _wide(address: int) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in str(IPv4Address(address)))


def _in_v6(prefix: str) -> Callable[[int], str]:
    return lambda address: f"[{prefix}{address >> 16:x}:{address & 0xFFFF:x}]"


SPELLINGS: dict[str, Callable[[int], str]] = {
    "dotted": lambda address: str(IPv4Address(address)),
    "decimal": str,
    "hexadecimal": hex,
    "octal": lambda address: f"0{address:o}",
    "dotted hexadecimal": _joined("0x{:x}"),
    "dotted octal": _joined("0{:o}"),
    "padded": _joined("{:03}"),
    "octal, padded": _joined("{:011o}"),
    "overflowing": lambda address: ".".join(str(part + 256) for part in _quads(address)),
    "overflowing number": lambda address: str(address + 2**32),
    "two parts": lambda address: f"{address >> 24}.{address & 0xFFFFFF}",
    "three parts": lambda a: f"{a >> 24}.{a >> 16 & 255}.{a & 0xFFFF}",
    "trailing dot": lambda address: f"{IPv4Address(address)}.",
    "mixed": lambda a: "0x{:x}.{}.0{:o}.{}".format(*_quads(a)),
    "wide digits": _wide,
    "wide dots": lambda address: str(IPv4Address(address)).replace(".", "\u3002"),
    "percent": lambda address: "".join(f"%{ord(c):02x}" for c in str(IPv4Address(address))),
    "mapped": lambda address: f"[::ffff:{IPv4Address(address)}]",
    "mapped in full": _in_v6("0:0:0:0:0:ffff:"),
    "compatible": lambda address: f"[::{IPv4Address(address)}]",
    "NAT64": _in_v6("64:ff9b::"),
    "local NAT64": _in_v6("64:ff9b:1::"),
    "6to4": lambda a: f"[2002:{a >> 16:x}:{a & 0xFFFF:x}::1]",
    "ISATAP": _in_v6("2400:cb00::5efe:"),
    "Teredo": lambda a: f"[2001:0:{a >> 16:x}:{a & 0xFFFF:x}::1]",
    "with a zone": lambda address: f"[::ffff:{IPv4Address(address)}%25lo]",
}

_NAMES = """
    localhost localhost. localhost.localdomain ip6-localhost ip6-loopback metadata
    metadata.google.internal instance-data postgres redis host.docker.internal
    loopback.canary.test mixed.canary.test cname.canary.test private-v6.canary.test
    many.canary.test nobody.canary.test \u24dbocalhost loc\xadalhost
"""
_SYNTAX = [
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://127.0.0.1/a",
    "gopher://127.0.0.1:6379/_I",
    "data:image/png;base64,iVBORw0KGgo=",
    "ws://127.0.0.1/",
    "s3://b/k",
    "unix:/run/x.sock",
    "blob:http://x/y",
    "http:127.0.0.1/a",
    "http:/127.0.0.1/a",
    "HTTP:127.0.0.1",
    "//127.0.0.1/a",
    "127.0.0.1/a",
    "http:///",
    "http://?",
    "http://.",
    "http://..",
    "http://[]",
    "http://[::1",
    "http://127.0.0.1:80:80/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://a.test#@127.0.0.1/",
    "http://127.0.0.1#@a.test/",
    "http://127.0.0.1?@a.test/",
    "http://a.test;@127.0.0.1/",
    "http://127.0.0.1%23@a.test/",
    "http://a.test%00@127.0.0.1/",
    "http://127.0.0.1\\@a.test/",
    "ht\ntp://127.0.0.1/",
    "http://127.0.0.1\r\nHost: x/",
    "\0http://127.0.0.1/",
    " http://127.0.0.1/ ",
    "http://1.1.1.1 &@127.0.0.1# @3.3.3.3/",
    f"http://{PUBLIC}/" + "a" * 2_100,
    "",
]
_PORTS = """
    -1 0 1 22 23 25 79 81 111 135 442 444 445 1433 2049 2379 3306 5432 6379 6443 8000 8080 8200 8443
    9200 9999 12001 27017 65535 65536 080 0x50 80a +80
"""
_ELSEWHERE = [
    "http://127.0.0.1:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://2130706433:{port}/a.png",
    "http://0x7f.1:{port}/a.png",
    "//127.0.0.1:{port}/a.png",
    "//loopback.canary.test:{port}/a.png",
    "https://10.0.0.1/a.png",
    "http://[64:ff9b::7f00:1]/a.png",
    "http://public.canary.test:22/a.png",
    "http://user@public.canary.test/a.png",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_I",
]


def shipped(port: int = 10_080) -> list[str]:
    """Every URL; none may be answered otherwise than -45050. `port` is the public server's."""
    return list(dict.fromkeys([*_spelled(), *_named(), *_SYNTAX, *_redirecting(port)]))


def from_file(path: Path, port: int = 10_080) -> list[str]:
    """URLs kept outside the project: lines of a kind, a tab, and a URL with escapes as Python's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    urls = [line.split("\t", 1)[1] for line in lines if "\t" in line]
    return [_unescaped(url).replace("{CANARY}", str(port)) for url in urls]


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return text.encode("latin-1", "backslashreplace").decode("unicode-escape")


def _spelled() -> Iterator[str]:
    for inside in INSIDE.split():
        for spell in SPELLINGS.values():
            yield f"http://{spell(int(IPv4Address(inside)))}/a.png"
    for inside in INSIDE_V6.split():
        yield f"http://[{inside}]/a.png"
        yield f"https://[{inside}]:10443/a.png"


def _named() -> Iterator[str]:
    for name in _NAMES.split():
        yield f"http://{name}/a.png"
    for port in _PORTS.split():
        yield f"http://127.0.0.1:{port}/a.png"
        yield f"http://{PUBLIC}:{port}/a.png"


def _redirecting(port: int) -> Iterator[str]:
    for status in (301, 302, 303, 307, 308):
        for target in _ELSEWHERE:
            yield f"http://{PUBLIC}:{port}/go/{status}?{target.format(port=port)}"
    for path in ("chain/4", "chain/9", "loop", "nowhere", "refresh"):
        yield f"http://{PUBLIC}:{port}/{path}"
