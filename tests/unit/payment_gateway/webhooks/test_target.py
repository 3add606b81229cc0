"""What a URL calls, and which URLs nobody could call."""

import pytest

from payment_gateway.webhooks.destination import parse_destinations
from payment_gateway.webhooks.target import TargetError, is_localhost, literal_address, parse_target

DEVELOPMENT = parse_destinations([], public_only=False)


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("http://Shop.Example:80/", "shop.example", "Shop.Example:80"),
        ("HTTPS://shop.example.", "shop.example.", "shop.example."),
        ("http://order_api:8000/hooks", "order_api", "order_api:8000"),
        ("http://127.0.0.1/", "127.0.0.1", "127.0.0.1"),
        ("http://[2606:2800::1]:81/", "2606:2800::1", "[2606:2800::1]:81"),
        ("http://xn--schn-7qa.example/", "xn--schn-7qa.example", "xn--schn-7qa.example"),
        ("http://shop.example:/", "shop.example", "shop.example:"),
        ("http://" + "a" * 63 + ".example/", "a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_host_is_connected_to_in_lower_case_and_named_as_it_was_written(url: str, host: str, authority: str) -> None:
    target = parse_target(url)
    assert (target.host, target.url.raw_host, target.authority) == (host, host.removesuffix("/"), authority)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a", "/"),
        ("http://a?x", "/?x"),
        ("http://a#x", "/"),
        ("http://a/?#x", "/?"),
        ("http://a/%7E?sig=a%2Fb%2bc%3D", "/%7E?sig=a%2Fb%2bc%3D"),
        ("http://a//b/../c/./?[1]=+&", "//b/../c/./?[1]=+&"),
    ],
)
def test_a_request_asks_for_everything_between_the_host_and_the_fragment(url: str, target: str) -> None:
    assert parse_target(url).url.raw_path_qs == target


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("127.1", "must spell its IP address as 127.0.0.1"),
        ("2130706433", "must spell its IP address as 127.0.0.1"),
        ("0x7f.1", "must spell its IP address as 127.0.0.1"),
        ("0177.0.0.1", "must spell its IP address as 127.0.0.1"),
        ("127.0.0.1.", "must spell its IP address as 127.0.0.1"),
        ("1.2.3.4.5", "must have a host that does not end in a number"),
        ("256.1.1.1", "must have a host that does not end in a number"),
        ("shop.0x", "must have a host that does not end in a number"),
        ("a..b", "must have a host name without empty parts between its dots"),
        (".a", "must have a host name without empty parts between its dots"),
        (".", "must have a host name without empty parts between its dots"),
        ("a" * 64 + ".example", "must have a host name of at most 253 characters, 63 between two dots"),
        (".".join(["a" * 60] * 5), "must have a host name of at most 253 characters, 63 between two dots"),
        ("a%2eb", "must have a host of letters, digits, hyphens and dots"),
        ("a,b", "must have a host of letters, digits, hyphens and dots"),
        ("shop.example:0", "must have a port from 1 to 65535, or none"),
        ("shop.example:65536", "must have a port from 1 to 65535, or none"),
        ("shop.example:000080", "must have a port from 1 to 65535, or none"),
        ("shop.example:http", "must have a host, and after it nothing but a colon and a port"),
        ("shop.example:-1", "must have a host, and after it nothing but a colon and a port"),
        ("a:b:80", "must have a host, and after it nothing but a colon and a port"),
        ("[::1]x", "must have a host, and after it nothing but a colon and a port"),
        ("[127.0.0.1]", "must have an IPv6 address between its brackets"),
        ("[2606:2800::1%25eth0]", "must have an IPv6 address between its brackets"),
        ("shop.example\\@elsewhere.example", "must hold no user name or password"),
    ],
)
def test_a_host_that_cannot_be_called_or_is_read_differently_by_others_is_refused(host: str, fault: str) -> None:
    assert DEVELOPMENT.fault_of(f"http://{host}/hooks") == fault


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "localhost.", "shop.localhost", "a.b.localhost."])
def test_localhost_and_all_names_under_it_are_this_machine(host: str) -> None:
    assert is_localhost(host)


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.example", "localhost..", ""])
def test_other_names_are_not_this_machine(host: str) -> None:
    assert not is_localhost(host)


def test_a_fault_does_not_show_the_url() -> None:
    with pytest.raises(TargetError) as refused:
        parse_target("http://shop.example:0/hooks?token=s3cret")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1", "[::1]"])
def test_every_spelling_of_an_address_is_that_address(host: str) -> None:
    assert literal_address(host.strip("[]")) in {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["shop.example", "localhost", "127.0.0.1.example", "1.2.3.4.5"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hooks",
        "//shop.example",
        "ftp://shop.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///hooks",
        "http://user:password@shop.example/",
        "http://user@shop.example/",
        "http://shop.example:99999/",
        "http://[::1/",
        "http://xn--/",
        "http://shop.example/a b",
        "http://shop.example/\r\nX: 1",
        "http://shop.example/\x00",
        "http://schön.example/",
        "http://shop.example/" + "x" * 2048,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    assert DEVELOPMENT.fault_of(url) is not None
