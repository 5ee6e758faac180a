"""Which addresses a picture may be fetched from: how a URL is read, and which hosts are public."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Literal
from urllib.parse import urljoin

import idna

from app.domain.errors import ConfigurationError, InvalidImageUrl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2_048
DEFAULT_PORTS: tuple[range, ...] = (range(80, 81), range(443, 444), range(10_000, 12_001))
_SCHEME_PORTS: dict[str, int] = {"http": 80, "https": 443}

# Everything the registries of special-purpose addresses (IANA, RFC 6890 and updates) do not call
# globally reachable, and what Python's `is_global` lets through although no picture lives there.
_CLOSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host agent, on a public address
        "169.254.0.0/16",  # link-local, RFC 3927; 169.254.169.254 is most clouds' metadata
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # multicast tunnels (AMT), RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112 and 8190
    )
)
# The only IPv6 space assigned to hosts of the internet (IANA, RFC 4291). What lies outside is
# closed without being named: loopback, mapped, compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48),
# discard, SRv6 (5f00::/16), unique local, link-local, site-local and multicast.
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: carries any IPv4 address
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)
# The lower half of an ISATAP address, RFC 5214 section 6.1: again an IPv4 address in disguise.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:@/?#%]+)(?P<port>:[^/?#]*)?"
    r"(?P<target>(?:/[^?#]*)?(?:\?[^#]*)?)(?P<fragment>#.*)?",
    re.IGNORECASE | re.ASCII,  # ASCII, or a long s would pass for the s of https
)
_PORT = re.compile(r":[1-9][0-9]{0,4}", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# What the system's resolver may take for a number (WHATWG URL, "ends in a number"): decimal, octal,
# hexadecimal, with fewer than four parts. Such a host is an address or nothing.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """A picture's address, read once: `host` is a name or an address, ASCII, lower case.

    `target` is path and query as they go on the wire. It may carry a signature, so the address
    has no text form.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What belongs into the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _SCHEME_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which ports and addresses a picture may come from.

    `opened` are private networks an operator wants (an on-prem image store); nothing else opens
    what the tables above close.
    """

    ports: tuple[range, ...] = DEFAULT_PORTS
    opened: tuple[Network, ...] = ()

    @classmethod
    def of(cls, ports: str | None = None, opened: Iterable[str] = ()) -> "AddressRules":
        """From settings: ports like "80,443,10000-12000", networks like "10.1.0.0/16".

        Raises:
            ConfigurationError: one of them cannot be read.
        """
        return cls(
            DEFAULT_PORTS if ports is None else tuple(map(_port_range, ports.split(","))),
            tuple(map(_network, opened)),
        )

    def read(self, url: str) -> Destination:
        """Take `url` apart, strictly.

        Raises:
            InvalidImageUrl: it is not a plain http or https address with an allowed port, or is
                written in a way two readers could understand differently.
        """
        _check_characters(url)
        parts = _URL.fullmatch(url)
        if parts is None:
            raise InvalidImageUrl
        scheme: Literal["http", "https"] = "http" if len(parts["scheme"]) == 4 else "https"
        port = self._read_port(parts["port"], scheme)
        if parts["fragment"] and not parts["target"]:
            raise InvalidImageUrl
        return Destination(scheme, _read_host(parts["host"]), port, _read_target(parts["target"]))

    def follow(self, origin: Destination, location: str) -> Destination:
        """Where a redirect from `origin` leads, read as strictly as a URL of a request.

        Raises:
            InvalidImageUrl: see `read`.
        """
        _check_characters(location)
        try:
            return self.read(urljoin(origin.url, location))
        except ValueError:  # urljoin refuses some malformed brackets itself
            raise InvalidImageUrl from None

    def admits(self, address: Address) -> bool:
        """Whether a connection to `address` may be made."""
        return any(address in network for network in self.opened) or _is_public(address)

    def _read_port(self, text: str | None, scheme: str) -> int:
        if text is None:
            port = _SCHEME_PORTS[scheme]
        elif _PORT.fullmatch(text):
            port = int(text[1:])
        else:
            raise InvalidImageUrl
        if not any(port in ports for ports in self.ports):
            raise InvalidImageUrl("the port of the image URL is not allowed")
        return port


def checked(addresses: Sequence[str], rules: AddressRules) -> list[Address]:
    """The resolver's `addresses`, in its order and without repetition.

    One that may not be connected to spoils them all: a name that leads both outside and inside is
    an attack or a mistake.

    Raises:
        InvalidImageUrl: there are none, or not all of them may be connected to.
    """
    try:
        found = list(dict.fromkeys(map(ip_address, addresses)))
    except ValueError:  # an address with a zone, for one
        raise InvalidImageUrl from None
    if not found or not all(map(rules.admits, found)):
        raise InvalidImageUrl
    return found


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if address not in _OPEN_V6 or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return not any(address in network for network in _CLOSED_V6)


def _check_characters(url: str) -> None:
    """No space, control character, line separator, soft hyphen, lone surrogate or backslash."""
    if len(url) > MAX_URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidImageUrl


def _read_host(host: str) -> str:
    if host.startswith("["):
        return _read_literal(host[1:-1], IPv6Address)
    name = (host if host.isascii() else _read_idn(host)).lower().removesuffix(".")
    if _NUMERIC_END.fullmatch(name):
        return _read_literal(host, IPv4Address)
    if not _NAME.fullmatch(name):
        raise InvalidImageUrl
    return name


def _read_literal(host: str, kind: type[Address]) -> str:
    try:
        return str(kind(host))  # refuses octal, hexadecimal and shortened spellings
    except ValueError:
        raise InvalidImageUrl from None


def _read_idn(host: str) -> str:
    try:
        # Strict IDNA 2008: full-width and circled digits, and dots that only look like dots, are
        # not folded into something else but refused.
        return idna.encode(host, strict=True).decode()
    except idna.IDNAError:
        raise InvalidImageUrl from None


def _read_target(target: str) -> str:
    """`target` with characters beyond ASCII percent-encoded, as browsers send them."""
    path = target if target.startswith("/") else f"/{target}"
    if path.isascii():
        return path
    return "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in path)


def _port_range(text: str) -> range:
    first, _, last = text.strip().partition("-")
    try:
        ports = range(int(first), int(last or first) + 1)
    except ValueError:
        ports = range(0)
    if not ports or ports[0] < 1 or ports[-1] > 65_535:
        raise ConfigurationError(f"FACERECO_URL_PORTS: not a port or a range: {text.strip()!r}")
    return ports


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ConfigurationError(f"not a network like 10.1.0.0/16: {text.strip()!r}") from None
