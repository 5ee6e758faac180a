"""How audit records hang together: the arithmetic that writers and checkers share.

Each record is a line of JSON that ends in an HMAC over itself and over the HMAC before it, so a
record can be neither changed, nor taken out, nor moved without the key. What a chain cannot tell
is that its last records are gone; that is what the signed head beside it is for.
"""

import hmac
import re
from dataclasses import dataclass

_ENDING = re.compile(rb',"mac":"([0-9a-f]{64})"}\n')
_ENDING_BYTES = 75


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in its chain: its number from 1 on, and its HMAC in hex."""

    number: int
    mac: str


class Chain:
    """The chain of one writer under one key of 32 bytes."""

    def __init__(self, key: bytes, writer: str) -> None:
        # Begun once: taking the key in costs more than the HMAC of a record.
        self._begun = hmac.new(key, writer.encode() + b"\0", "sha256")
        self.start = Link(0, self._sign(b"start"))

    def line(self, last: Link, body: bytes) -> tuple[Link, bytes]:
        """The record after `last`; `body` is a JSON object that says the record's number itself."""
        link = Link(last.number + 1, self.mac(last, body[:-1]))
        return link, b'%s,"mac":"%s"}\n' % (body[:-1], link.mac.encode())

    def mac(self, last: Link, body: bytes) -> str:
        """What a record with this open body must end in when it comes after `last`."""
        return self._sign(b"record", last.mac.encode(), body)

    def seal(self, head: Link) -> bytes:
        """The head's line: number, HMAC and signature; always of one length."""
        shown = f"{head.number:020} {head.mac}"
        return f"{shown} {self._sign(b'head', shown.encode())}\n".encode()

    def unseal(self, line: bytes) -> Link | None:
        """The head that a line says, or None when this chain's writer never wrote it."""
        parts = line.decode("ascii", "replace").split()
        if len(parts) != 3 or not parts[0].isdecimal():
            return None
        head = Link(int(parts[0]), parts[1])
        return head if hmac.compare_digest(self.seal(head), line) else None

    def _sign(self, *parts: bytes) -> str:
        begun = self._begun.copy()
        begun.update(b"\0".join(parts))
        return begun.hexdigest()


def split(line: bytes) -> tuple[bytes, str] | None:
    """A record's open body and its HMAC; None where a line is no whole record."""
    ending = _ENDING.fullmatch(line, max(0, len(line) - _ENDING_BYTES))
    return None if ending is None else (line[: ending.start()], ending[1].decode())
