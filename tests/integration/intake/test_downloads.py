"""Downloads over real sockets: only what is allowed is reached, and bad servers end well."""

import asyncio
import datetime
import gzip
import socket
import ssl
import time
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.domain.callers import CALLER, Caller
from app.domain.errors import ImageTimeout, ImageTooLarge, InvalidImageUrl
from app.intake.addresses import AddressRules
from app.intake.downloads import Downloader, DownloadLimits
from tests.integration.intake.picture_server import (
    endless,
    listening,
    plain,
    raw,
    redirect,
    reset,
    running,
)

PICTURE = b"not really a picture" * 1000
LOOPBACK = AddressRules.of(opened=["127.0.0.0/29", "::1/128"])
NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is quick to make
QUICK = DownloadLimits(connect=0.5, total=0.5)


class FakeResolver:
    """Answers from a table; a list of answers is given one by one, as a rebinding name does."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host, port):
        self.asked.append(host)
        if host not in self.names:
            return [str(ip_address(host))]
        answers = self.names[host]
        return answers.pop(0) if isinstance(answers[0], list) else answers


@pytest.fixture
async def server():
    async with running() as server:
        server.answers["/a.jpg"] = plain(PICTURE)
        yield server


@pytest.fixture
def resolver():
    return FakeResolver(
        pictures_test=["127.0.0.1"],
        inside_test=["127.0.0.9"],
        mixed_test=["127.0.0.1", "10.0.0.1"],
        rebinding_test=[["127.0.0.1"], ["127.0.0.9"], ["127.0.0.9"]],
        second_test=["127.0.0.5", "127.0.0.1"],
        nobody_test=["127.0.0.5"],
    )


@pytest.fixture
async def downloader(resolver):
    downloader = Downloader(LOOPBACK, limits=QUICK, tls=NO_AUTHORITY, resolve=resolver)
    yield downloader
    await downloader.aclose()


def fetching(downloader, server, path="/a.jpg", host="pictures.test", max_bytes=1_000_000):
    return downloader.fetch(f"http://{host}:{server.port}{path}", max_bytes=max_bytes)


async def test_a_picture_is_fetched(downloader, server):
    assert await fetching(downloader, server) == PICTURE


async def test_an_address_in_the_url_is_fetched_too(downloader, server):
    assert await fetching(downloader, server, host="127.0.0.1") == PICTURE


async def test_a_picture_is_fetched_over_ipv6(downloader):
    async with running("::1") as server:
        server.answers["/a.jpg"] = plain(PICTURE)

        assert await fetching(downloader, server, host="[::1]") == PICTURE


async def test_a_request_says_nothing_but_what_it_must(downloader, server):
    await fetching(downloader, server, "/a.jpg?b=%2F얼굴")

    line, *headers = server.requests[0].removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /a.jpg?b=%2F%EC%96%BC%EA%B5%B4 HTTP/1.1"
    assert headers == [
        f"Host: pictures.test:{server.port}",
        "User-Agent: facereco",
        "Accept: image/png, image/jpeg, */*;q=0.1",
        "Accept-Encoding: identity",
    ]


async def test_the_environment_and_cookies_are_ignored(downloader, server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine pictures.test login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    server.answers["/a.jpg"] = plain(PICTURE, headers=("Set-Cookie: a=b",))

    await fetching(downloader, server)
    await fetching(downloader, server)

    heads = "".join(server.requests).lower()
    assert "cookie" not in heads
    assert "authorization" not in heads


async def test_no_connection_is_used_twice(downloader, server):
    await fetching(downloader, server)
    await fetching(downloader, server)

    assert server.connections == 2


@pytest.mark.parametrize(
    "host", ["inside.test", "mixed.test", "127.0.0.9", "10.0.0.1", "[::ffff:127.0.0.1]"]
)
async def test_what_is_not_allowed_is_never_connected_to(downloader, host):
    async with running("0.0.0.0") as server:  # noqa: S104 - a canary on every local address
        with pytest.raises(InvalidImageUrl):
            await fetching(downloader, server, host=host)

        assert server.connections == 0


async def test_loopback_is_closed_unless_it_is_opened(server, resolver):
    downloader = Downloader(AddressRules(), limits=QUICK, tls=NO_AUTHORITY, resolve=resolver)

    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server)

    await downloader.aclose()
    assert server.connections == 0


async def test_a_name_that_changes_its_mind_is_asked_once_and_reached_where_it_was_checked(
    downloader, server, resolver
):
    assert await fetching(downloader, server, host="rebinding.test") == PICTURE

    assert resolver.asked == ["rebinding.test"]


async def test_a_redirect_to_a_name_that_changed_its_mind_is_checked_afresh(downloader, resolver):
    async with running("0.0.0.0") as server:  # noqa: S104 - a canary on every local address
        server.answers["/go"] = redirect("/a.jpg")
        server.answers["/a.jpg"] = plain(PICTURE)

        with pytest.raises(InvalidImageUrl):
            await fetching(downloader, server, "/go", host="rebinding.test")

        assert resolver.asked == ["rebinding.test"] * 2
        assert server.connections == 1


async def test_the_next_address_is_tried_when_the_first_does_not_answer(downloader, server):
    assert await fetching(downloader, server, host="second.test") == PICTURE


async def test_a_refused_connection_is_no_picture(downloader, server):
    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server, host="nobody.test")


async def test_a_name_nobody_knows_is_no_picture():
    async def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    downloader = Downloader(LOOPBACK, tls=NO_AUTHORITY, resolve=unknown)

    with pytest.raises(InvalidImageUrl):
        await downloader.fetch("http://unknown.test/", max_bytes=10)
    await downloader.aclose()


async def test_a_resolver_that_never_answers_is_a_timeout():
    async def stuck(host, port):
        await asyncio.sleep(60)

    downloader = Downloader(
        LOOPBACK, limits=DownloadLimits(total=0.1), tls=NO_AUTHORITY, resolve=stuck
    )

    with pytest.raises(ImageTimeout):
        await downloader.fetch("http://stuck.test/", max_bytes=10)
    await downloader.aclose()


async def test_the_systems_resolver_is_asked_by_default(server):
    downloader = Downloader(LOOPBACK, limits=QUICK)

    assert await fetching(downloader, server, host="127.0.0.1") == PICTURE
    await downloader.aclose()


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(downloader, server, status):
    server.answers["/go"] = redirect("a.jpg", status)

    assert await fetching(downloader, server, "/go") == PICTURE


async def test_three_redirects_are_followed_and_a_fourth_is_not(downloader, server):
    server.answers |= {f"/{n}": redirect(f"/{n - 1}") for n in range(2, 5)}
    server.answers["/1"] = redirect("/a.jpg")

    assert await fetching(downloader, server, "/3") == PICTURE
    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server, "/4")


@pytest.mark.parametrize("location", ["/loop", "", "?x=1", "#top"])
async def test_a_loop_ends(downloader, server, location):
    server.answers["/loop"] = redirect(location)

    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server, "/loop")

    assert len(server.requests) <= 4


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.9:{port}/",
        "http://inside.test:{port}/",
        "http://mixed.test:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433:{port}/",
        "//127.0.0.9:{port}/",
        "//0x7f000001:{port}/",
        "https://127.0.0.9:{port}/",
        "http://user@pictures.test:{port}/a.jpg",
        "file:///etc/passwd",
        "ftp://pictures.test/",
        "http://pictures.test:22/",
        "http://pictures.test:{port}/a b",
    ],
)
async def test_a_redirect_inside_is_never_followed(downloader, location):
    async with running("0.0.0.0") as server:  # noqa: S104 - a canary on every local address
        server.answers["/go"] = redirect(location.format(port=server.port))

        with pytest.raises(InvalidImageUrl):
            await fetching(downloader, server, "/go")

        assert server.connections == 1


async def test_a_redirect_to_nowhere_is_no_picture(downloader, server):
    server.answers["/go"] = plain(b"", "302 Found", ("Refresh: 0; url=/a.jpg",))

    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server, "/go")


# --- servers that mean no good


@pytest.mark.parametrize(
    "status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 429, 500, 503]
)
async def test_only_200_is_a_picture(downloader, server, status):
    body = b"" if status in {204, 304} else PICTURE
    server.answers["/a.jpg"] = plain(body, f"{status} Whatever")

    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server)


BROKEN = {
    "no HTTP at all": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": raw(b""),
    "half a head": raw(b"HTTP/1.1 200 OK\r\nContent-"),
    "a body cut short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(999)),
    "a chunk cut short": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + bytes(99)
    ),
    "chunks without end": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    "a length that is none": raw(b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "a head of 200 kB": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"),
    "a reset": reset,
    "gzip nobody asked for": plain(gzip.compress(PICTURE), headers=("Content-Encoding: gzip",)),
    "two encodings": plain(PICTURE, headers=("Content-Encoding: identity, br",)),
    "a compressed transfer": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ),
    "another protocol": plain(b"", "101 Switching Protocols", ("Upgrade: x",)),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_no_picture(downloader, server, answer):
    server.answers["/a.jpg"] = answer

    with pytest.raises(InvalidImageUrl):
        await fetching(downloader, server)


@pytest.mark.parametrize("headers", [("Content-Encoding: identity",), ("Content-Type: text/html",)])
async def test_a_picture_is_a_picture_whatever_it_is_called(downloader, server, headers):
    server.answers["/a.jpg"] = plain(PICTURE, headers=headers)

    assert await fetching(downloader, server) == PICTURE


async def test_a_body_that_ends_with_the_connection_is_taken(downloader, server):
    server.answers["/a.jpg"] = raw(b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE)

    assert await fetching(downloader, server) == PICTURE


async def test_chunks_are_put_together(downloader, server):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answers["/a.jpg"] = raw(head, b"3\r\nabc\r\n", b"4\r\ndefg\r\n", b"0\r\n\r\n")

    assert await fetching(downloader, server) == b"abcdefg"


async def test_a_picture_as_large_as_allowed_is_taken(downloader, server):
    assert await fetching(downloader, server, max_bytes=len(PICTURE)) == PICTURE


TOO_LARGE = {
    "one byte": plain(PICTURE + b"x"),
    "a promise of much": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", pause=0.3),
    "a promise of absurdly much": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", pause=0.3
    ),
    "more than promised nothing": endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(10_000)),
    "chunks for ever": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1000\r\n" + bytes(0x1000) + b"\r\n",
    ),
}


@pytest.mark.parametrize("answer", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_too_much_is_too_large(downloader, server, answer):
    server.answers["/a.jpg"] = answer

    with pytest.raises(ImageTooLarge):
        await fetching(downloader, server, max_bytes=len(PICTURE))


async def test_a_length_that_lies_downwards_gives_no_more_than_it_says(downloader, server):
    server.answers["/a.jpg"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")

    assert await fetching(downloader, server) == b"abc"


SLOW = {
    "silence": raw(b"", pause=5),
    "a head byte by byte": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05),
    "a body byte by byte": endless(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.05
    ),
    "a stall near the end": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 20001\r\n\r\n" + PICTURE, pause=5
    ),
    "hints for ever": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.01),
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
async def test_a_slow_answer_is_a_timeout_when_the_time_is_over(downloader, server, answer):
    server.answers["/a.jpg"] = answer
    begin = time.monotonic()

    with pytest.raises(ImageTimeout):
        await fetching(downloader, server)

    assert time.monotonic() - begin < QUICK.total + 0.4


async def test_slow_redirects_share_one_deadline(downloader, server):
    async def slowly(writer):
        await asyncio.sleep(0.2)
        await redirect("/go")(writer)

    server.answers["/go"] = slowly

    with pytest.raises(ImageTimeout):
        await fetching(downloader, server, "/go")


async def test_no_more_downloads_run_at_once_than_allowed(server, resolver):
    limits = DownloadLimits(total=0.6, concurrent=3)
    downloader = Downloader(LOOPBACK, limits=limits, tls=NO_AUTHORITY, resolve=resolver)
    server.answers["/slow"] = raw(b"", pause=0.4)
    tasks = [asyncio.create_task(fetching(downloader, server, "/slow")) for _ in range(9)]
    await asyncio.sleep(0.2)

    at_once = server.connections
    results = await asyncio.gather(*tasks, return_exceptions=True)

    await downloader.aclose()
    assert at_once == 3
    assert {type(result) for result in results} == {InvalidImageUrl, ImageTimeout}


async def as_tenant(tenant, downloader, server, path):
    CALLER.set(Caller(tenant))
    return await fetching(downloader, server, path)


async def test_a_tenant_has_its_share_of_downloads_and_no_more(server, resolver):
    limits = DownloadLimits(total=2, concurrent=16, each=2)
    downloader = Downloader(LOOPBACK, limits=limits, tls=NO_AUTHORITY, resolve=resolver)
    server.answers["/slow"] = raw(b"", pause=1.5)
    greedy = [asyncio.create_task(as_tenant(1, downloader, server, "/slow")) for _ in range(9)]
    await asyncio.sleep(0.3)

    at_once = server.connections
    other = await asyncio.create_task(as_tenant(2, downloader, server, "/a.jpg"))

    for task in greedy:
        task.cancel()
    await asyncio.gather(*greedy, return_exceptions=True)
    assert at_once == 2
    assert other == PICTURE
    assert await asyncio.create_task(as_tenant(1, downloader, server, "/a.jpg")) == PICTURE
    await downloader.aclose()


async def test_who_waits_for_a_share_gives_up_when_the_time_is_over(server, resolver):
    limits = DownloadLimits(total=0.3, each=1)
    downloader = Downloader(LOOPBACK, limits=limits, tls=NO_AUTHORITY, resolve=resolver)
    server.answers["/slow"] = raw(b"", pause=1)

    ends = await asyncio.gather(
        *(fetching(downloader, server, "/slow") for _ in range(20)), return_exceptions=True
    )

    await downloader.aclose()
    assert {type(end) for end in ends} == {ImageTimeout}
    assert server.connections == 1


async def test_a_slot_is_free_again_after_every_end(server, resolver):
    limits = DownloadLimits(total=0.1, concurrent=1)
    downloader = Downloader(LOOPBACK, limits=limits, tls=NO_AUTHORITY, resolve=resolver)
    server.answers |= {"/slow": raw(b"", pause=1), "/reset": reset}
    for path in ("/slow", "/reset", "/missing", "/slow"):
        await asyncio.gather(fetching(downloader, server, path), return_exceptions=True)

    assert await fetching(downloader, server) == PICTURE
    await downloader.aclose()


async def test_a_caller_that_goes_away_closes_its_connection(downloader, server):
    gone = asyncio.Event()

    async def until_gone(writer):
        try:
            await endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.01)(writer)
        finally:
            gone.set()

    server.answers["/endless"] = until_gone
    task = asyncio.create_task(fetching(downloader, server, "/endless"))
    await asyncio.sleep(0.1)

    task.cancel()

    await asyncio.wait_for(gone.wait(), 2)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a certificate for pictures.test that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pictures.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
async def secure_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with running(tls=context) as server:
        server.answers["/a.jpg"] = plain(PICTURE)
        yield server, names


def trusting(certificate, resolver):
    tls = ssl.create_default_context(cafile=certificate)
    return Downloader(LOOPBACK, limits=QUICK, tls=tls, resolve=resolver)


async def test_the_name_and_not_the_address_is_what_tls_checks(
    secure_server, certificate, resolver
):
    server, names = secure_server
    downloader = trusting(certificate, resolver)

    picture = await downloader.fetch(f"https://pictures.test:{server.port}/a.jpg", max_bytes=10**6)

    await downloader.aclose()
    assert picture == PICTURE
    assert names == ["pictures.test"]


async def test_a_certificate_for_another_name_is_refused(secure_server, certificate, resolver):
    server, _ = secure_server
    downloader = trusting(certificate, resolver)

    with pytest.raises(InvalidImageUrl):
        await downloader.fetch(f"https://127.0.0.1:{server.port}/a.jpg", max_bytes=10**6)

    await downloader.aclose()
    assert server.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused(secure_server, downloader):
    server, _ = secure_server

    with pytest.raises(InvalidImageUrl):
        await downloader.fetch(f"https://pictures.test:{server.port}/a.jpg", max_bytes=10**6)

    assert server.requests == []


async def test_a_server_that_speaks_no_tls_is_refused(downloader):
    async def rude(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with listening(rude) as port:
        with pytest.raises(InvalidImageUrl):
            await downloader.fetch(f"https://pictures.test:{port}/a.jpg", max_bytes=10**6)


@pytest.mark.parametrize("limits", [DownloadLimits(connect=0.2), DownloadLimits(total=0.2)])
async def test_a_stalled_handshake_is_a_timeout_and_leaves_no_connection(resolver, limits):
    left = asyncio.Event()

    async def silent(reader, writer):
        while await reader.read(100_000):
            pass
        writer.close()
        left.set()

    downloader = Downloader(LOOPBACK, limits=limits, tls=NO_AUTHORITY, resolve=resolver)
    async with listening(silent) as port:
        with pytest.raises(ImageTimeout):
            await downloader.fetch(f"https://pictures.test:{port}/", max_bytes=10)

        await asyncio.wait_for(left.wait(), 2)
    await downloader.aclose()
