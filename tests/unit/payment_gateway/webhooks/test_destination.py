"""SSRF: what the operator allows is judged on the address that is connected to (WEBHOOK_ALLOWED_HOSTS)."""

import pytest

from payment_gateway.webhooks.destination import DestinationError, Destinations, parse_destinations

DEVELOPMENT = parse_destinations([], public_only=False)
PRODUCTION = parse_destinations([], public_only=True)

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fd00:ec2::254",
    # The same in other clothes: mapped, 6to4 (RFC 3056), NAT64 (RFC 6052), Teredo (RFC 4380).
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("destinations", [DEVELOPMENT, PRODUCTION], ids=["development", "production"])
def test_nothing_goes_to_link_local_addresses_or_cloud_metadata(destinations: Destinations, address: str) -> None:
    assert destinations.forbids(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_production_delivers_to_no_address_that_is_not_public(address: str) -> None:
    assert PRODUCTION.forbids(address) == f"{address} is not public"


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_development_delivers_to_this_machine_and_its_network(address: str) -> None:
    assert DEVELOPMENT.forbids(address) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_production_delivers_to_the_internet(address: str) -> None:
    assert PRODUCTION.forbids(address) is None


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("fc00::/7", "fd12::1"),
        ("127.0.0.0/8", "127.0.0.1"),
    ],
)
def test_the_operator_may_allow_addresses_and_networks(entry: str, address: str) -> None:
    assert parse_destinations([entry], public_only=True).forbids(address) is None


def test_a_network_that_is_allowed_opens_no_other() -> None:
    assert parse_destinations(["10.0.0.0/8"], public_only=True).forbids("192.168.0.1")


@pytest.mark.parametrize("entry", ["169.254.0.0/16", "0.0.0.0/0", "169.254.169.252/30"])
def test_metadata_is_not_allowed_by_a_network_around_it(entry: str) -> None:
    assert parse_destinations([entry], public_only=True).forbids("169.254.169.254")


@pytest.mark.parametrize("public_only", [False, True])
def test_metadata_is_allowed_by_its_very_address(public_only: bool) -> None:
    destinations = parse_destinations(["169.254.169.254"], public_only=public_only)
    assert destinations.forbids("169.254.169.254") is None
    assert destinations.forbids("169.254.169.253")


def test_a_name_that_is_allowed_may_lead_to_a_private_address_but_not_to_metadata() -> None:
    destinations = parse_destinations(["Order-Api."], public_only=True)
    assert destinations.allows_name("order-api")
    assert destinations.allows_name("ORDER-API.")
    assert not destinations.allows_name("order-api.example")
    assert destinations.forbids("172.18.0.3", by_name=True) is None
    assert destinations.forbids("169.254.169.254", by_name=True)


@pytest.mark.parametrize("entry", ["schön.example", "SCHÖN.example.", "xn--schn-7qa.example", "XN--SCHN-7QA.example"])
@pytest.mark.parametrize("host", ["schön.example", "xn--schn-7qa.example", "xn--schn-7qa.example."])
def test_a_name_is_the_same_in_unicode_and_as_it_is_looked_up(entry: str, host: str) -> None:
    assert parse_destinations([entry], public_only=True).allows_name(host)
    assert not parse_destinations([entry], public_only=True).allows_name("schon.example")


def test_a_host_that_has_no_form_to_be_looked_up_in_is_not_allowed_by_name() -> None:
    assert not parse_destinations(["shop.example"], public_only=True).allows_name("ö" * 64)


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "10.0.0.1/8",
        "300.1.1.1",
        "http://shop",
        "shop:8080",
        "*.shop",
        "a b",
        "schön:8080",
        "schön shop",
        "ö" * 64,
    ],
)
def test_what_is_neither_a_name_nor_an_address_nor_a_network_is_refused(entry: str) -> None:
    with pytest.raises(DestinationError) as refused:
        parse_destinations([entry], public_only=True)
    assert repr(entry) in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["https://shop.example/hooks?token=x", "http://8.8.8.8:8080", "http://[2606:2800:220:1::1]/"],
)
def test_an_endpoint_may_be_anywhere_that_is_not_forbidden(url: str) -> None:
    assert PRODUCTION.fault_of(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.0.0.1:80/hooks",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://LOCALHOST.:8080/hooks",
        "http://shop.localhost/",
    ],
)
def test_a_url_with_a_forbidden_address_is_refused_when_it_is_given(url: str) -> None:
    assert str(PRODUCTION.fault_of(url)).startswith("is not allowed: ")


@pytest.mark.parametrize("entry", ["shop.localhost", "127.0.0.1", "::1"])
def test_a_name_of_this_machine_may_be_given_where_the_operator_allows_it(entry: str) -> None:
    destinations = parse_destinations([entry], public_only=True)
    assert destinations.fault_of("http://shop.localhost/hooks") is None
    assert DEVELOPMENT.fault_of("http://shop.localhost/hooks") is None


def test_an_address_that_the_operator_allows_may_be_given() -> None:
    assert parse_destinations(["10.0.0.1"], public_only=True).fault_of("http://10.0.0.1/hooks") is None
