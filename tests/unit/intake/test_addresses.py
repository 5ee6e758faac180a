"""Addresses: what a URL may look like, and where a connection may go."""

from ipaddress import ip_address

import pytest

from app.domain.errors import ConfigurationError, InvalidImageUrl
from app.intake.addresses import AddressRules, checked

RULES = AddressRules()


@pytest.mark.parametrize(
    ("url", "authority", "port", "target"),
    [
        ("http://example.com/a.jpg", "example.com", 80, "/a.jpg"),
        ("https://example.com/a.jpg", "example.com", 443, "/a.jpg"),
        ("HTTP://EXAMPLE.com/A.jpg", "example.com", 80, "/A.jpg"),
        ("http://example.com", "example.com", 80, "/"),
        ("http://example.com?id=1", "example.com", 80, "/?id=1"),
        ("http://example.com:80/", "example.com", 80, "/"),
        ("https://example.com:443/", "example.com", 443, "/"),
        ("http://example.com:443/", "example.com:443", 443, "/"),
        ("http://example.com:10000/", "example.com:10000", 10_000, "/"),
        ("http://example.com:12000/", "example.com:12000", 12_000, "/"),
        ("http://example.com./a", "example.com", 80, "/a"),
        ("http://a_b.example-1.com/a", "a_b.example-1.com", 80, "/a"),
        ("http://example.com/a.jpg#top", "example.com", 80, "/a.jpg"),
        ("http://example.com/a@b:c?d=http://e/@f", "example.com", 80, "/a@b:c?d=http://e/@f"),
        ("http://example.com/a%2Fb?sig=%2B%3d", "example.com", 80, "/a%2Fb?sig=%2B%3d"),
        ("http://example.com/얼굴.jpg", "example.com", 80, "/%EC%96%BC%EA%B5%B4.jpg"),
        ("http://b\u00fccher.example/a", "xn--bcher-kva.example", 80, "/a"),
        ("http://1.1.1.1/a", "1.1.1.1", 80, "/a"),
        ("http://[2606:4700::1111]:10001/a", "[2606:4700::1111]:10001", 10_001, "/a"),
        ("http://[2606:4700:0:0::1111]/a", "[2606:4700::1111]", 80, "/a"),
    ],
)
def test_a_plain_address_is_taken_apart(url, authority, port, target):
    destination = RULES.read(url)

    assert (destination.authority, destination.port, destination.target) == (
        authority,
        port,
        target,
    )


MALFORMED = [
    "",
    "/a.jpg",
    "a.jpg",
    "example.com/a.jpg",
    "//example.com/a.jpg",
    "http:example.com/a.jpg",
    "http:/example.com/a.jpg",
    "http:///a.jpg",
    "http://",
    "http://?",
    "http://#",
    "http://.",
    "http://..",
    "http://.example.com/",
    "http://example..com/",
    "http://[]",
    "http://[::1",
    "http://::1/",
    "http://[::1]x/",
    "http://[1.1.1.1]/",
    "http://[fe80::1%25lo]/",
    "http://[::%31]/",
    "ftp://example.com/a.jpg",
    "file:///etc/passwd",
    "file://example.com/etc/passwd",
    "gopher://example.com/_INFO",
    "data:image/png;base64,iVBORw0KGgo=",
    "ws://example.com/",
    "blob:http://example.com/x",
    "http\u017f://example.com/",
    "http+unix://example.com/",
    "http://user@example.com/",
    "http://user:word@example.com/",
    "http://@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com#@127.0.0.1/",
    "http://example.com;@127.0.0.1/",
    "http://127.0.0.1%23@example.com/",
    "http://example.com%00.evil.test/",
    "http://ex%61mple.com/",
    "http://example.com,evil.test/",
    "http://exa mple.com/",
    "http://example.com/a b",
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/\n",
    "http://example.com/\r\nHost: x",
    "ht\ntp://example.com/",
    "http://example.com/\t",
    "http://example.com/\0",
    "\0http://example.com/",
    "http://example.com/\x7f",
    "http://example.com/\x85",
    "http://example.com/\u00a0",
    "http://example.com/\u2028",
    "http://example.com/\ufeff",
    "http://example.com/\ud800",
    "http://exam\u00adple.com/",
    "http://exam\u200bple.com/",
    "http:\\\\example.com\\a",
    "http://example.com\\@127.0.0.1/",
    "http://example.com/a\\b",
    "http://example.com/" + "a" * 2030,
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 127 + "com/",
    "http://\u24dbocalhost/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c/",
    "http://localhos\u212a/",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_what_two_readers_could_understand_differently_is_refused(url):
    with pytest.raises(InvalidImageUrl):
        RULES.read(url)


PORTS = "0 1 22 25 79 81 442 444 5432 6379 8000 8080 8443 9999 12001 65535 65536 99999999999"
SPELLINGS = "080 00080 +80 -80 -1 80a 0x50 8_0 80.0 80:80 \uff18\uff10 8\u0660"


@pytest.mark.parametrize("port", ["", *PORTS.split(), *SPELLINGS.split()])
def test_other_ports_and_other_spellings_of_ports_are_refused(port):
    with pytest.raises(InvalidImageUrl):
        RULES.read(f"http://example.com:{port}/a.jpg")


NUMBERS = [
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "017700000001",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0x7f.0.00.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "127.000.000.001",
    "383.256.256.257",
    "4294967296",
    "0",
    "0x",
    "1.1.1.0x1",
    "1.1.1.1.1",
    "foo.1",
    "foo.0x1",
    "1.1.1.1.",
    "%31%32%37%2e%30%2e%30%2e%31",
    "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1",
    "1\uff611\uff611\uff611",
    "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    "\u0661.\u0661.\u0661.\u0661",
]


@pytest.mark.parametrize("host", NUMBERS)
def test_a_number_is_no_host_however_it_is_spelled(host):
    with pytest.raises(InvalidImageUrl):
        RULES.read(f"http://{host}/a.jpg")


# Loopback, private, link-local, shared, multicast, reserved, documentation, benchmarking, and the
# metadata services of the large clouds; first and last address of ranges where that may matter.
CLOSED_V4 = """
    0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200
    127.0.0.1 127.127.127.127 127.255.255.255 168.63.129.16 169.254.169.254 169.254.170.2
    169.254.0.23 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.0.192 192.0.2.1 192.31.196.1
    192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255
    198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
"""
CLOSED_V6 = """
    :: ::1 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8
    ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::8.8.8.8 64:ff9b:1::7f00:1 100::1
    100:0:0:1::1 2001::1 2001:0:7f00:1::80ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
    2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1 2620:4f:8000::1 3fff::1 5f00::1 4000::1
    fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
    2400:cb00::5efe:7f00:1 2400:cb00::200:5efe:a00:1
"""
OPEN = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 223.255.255.255 2001:4860:4860::8888 2001:200::1 2400:cb00::1
    2606:4700:4700::1111 2a00:1450::1 2003::1
"""


@pytest.mark.parametrize("address", [*CLOSED_V4.split(), *CLOSED_V6.split()])
def test_addresses_inside_are_closed(address):
    assert not RULES.admits(ip_address(address))


@pytest.mark.parametrize("address", OPEN.split())
def test_addresses_of_the_internet_are_open(address):
    assert RULES.admits(ip_address(address))


def test_an_operator_opens_exactly_the_networks_named():
    rules = AddressRules.of(opened=["10.1.0.0/16", "fd00:1::/64"])

    admitted = [
        address
        for address in ("10.1.2.3", "10.2.0.1", "fd00:1::5", "fd00:2::5", "::ffff:10.1.2.3")
        if rules.admits(ip_address(address))
    ]

    assert admitted == ["10.1.2.3", "fd00:1::5"]


def test_an_opened_network_does_not_close_the_internet():
    assert AddressRules.of(opened=["10.1.0.0/16"]).admits(ip_address("1.1.1.1"))


@pytest.mark.parametrize("network", ["", "10.1.0.1/16", "10.0.0.0/33", "example.com", "10.1"])
def test_a_network_that_cannot_be_read_is_a_configuration_error(network):
    with pytest.raises(ConfigurationError):
        AddressRules.of(opened=[network])


def test_ports_are_a_setting():
    rules = AddressRules.of(ports="8080, 9000-9001")

    assert rules.read("http://example.com:9001/").port == 9001
    with pytest.raises(InvalidImageUrl):
        rules.read("http://example.com/")


@pytest.mark.parametrize("ports", ["", "a", "0", "65536", "9-8", "80,,81", "1-2-3"])
def test_ports_that_cannot_be_read_are_a_configuration_error(ports):
    with pytest.raises(ConfigurationError):
        AddressRules.of(ports=ports)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b.jpg", "http://example.com:10000/b.jpg"),
        ("b.jpg?x=1", "http://example.com:10000/dir/b.jpg?x=1"),
        ("?x=1", "http://example.com:10000/dir/a.jpg?x=1"),
        ("//other.test/b", "http://other.test/b"),
        ("https://other.test:11000/b", "https://other.test:11000/b"),
        ("/얼굴.jpg", "http://example.com:10000/%EC%96%BC%EA%B5%B4.jpg"),
    ],
)
def test_a_redirect_leads_on(location, expected):
    origin = RULES.read("http://example.com:10000/dir/a.jpg")

    assert RULES.follow(origin, location).url == expected


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "http://example.com:22/",
        "http://2130706433/",
        "//0x7f000001/",
        "//user@example.com/",
        "http://[::1",
        "//[",
        "\\\\example.com",
        "/a b",
        "/a\r\nX: y",
        "/" + "a" * 2048,
    ],
)
def test_a_redirect_is_read_as_strictly_as_a_request(location):
    origin = RULES.read("http://example.com:10000/dir/a.jpg")

    with pytest.raises(InvalidImageUrl):
        RULES.follow(origin, location)


def test_one_address_inside_spoils_the_whole_answer():
    with pytest.raises(InvalidImageUrl):
        checked(["1.1.1.1", "10.0.0.1"], RULES)


@pytest.mark.parametrize("answer", [[], ["fe80::1%eth0"], ["not an address"]])
def test_an_answer_without_a_usable_address_is_refused(answer):
    with pytest.raises(InvalidImageUrl):
        checked(answer, RULES)


def test_a_long_answer_keeps_its_order_without_repetition():
    answer = ["1.1.1.2", "1.1.1.1", "1.1.1.2"]

    assert [str(address) for address in checked(answer, RULES)] == ["1.1.1.2", "1.1.1.1"]


def test_an_address_never_shows_itself():
    destination = RULES.read("http://example.com/a.jpg?signature=secret")

    assert "secret" not in repr(destination)
    assert "secret" not in str(destination)
