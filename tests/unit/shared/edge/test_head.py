"""What the head of a request may say, without a socket."""

import pytest

from shared.edge.head import Header, head_bytes, refused_framing, strip_blanks, without_upgrade

HOST: Header = (b"host", b"here")
CHUNKED: Header = (b"transfer-encoding", b"chunked")


def is_refused(*headers: Header, method: bytes = b"GET", version: str = "1.1") -> bool:
    refusal = refused_framing(method, version, headers)
    assert refusal is None or refusal.status == 400
    return refusal is not None


def test_a_request_names_its_host_exactly_once() -> None:
    assert not is_refused(HOST)
    assert is_refused()
    assert is_refused(HOST, HOST)
    assert not is_refused(version="1.0")
    assert is_refused(HOST, HOST, version="1.0")


@pytest.mark.parametrize("host", [b"a b", b"user@here", b"here/path", b"[::1"])
def test_a_host_that_is_no_host_is_refused(host: bytes) -> None:
    assert is_refused((b"host", host))


def test_a_host_may_be_empty_and_end_with_blanks() -> None:
    assert not is_refused((b"host", b""))
    assert not is_refused((b"host", b"here \t"))


def test_the_end_of_a_body_is_the_same_for_every_reader() -> None:
    assert not is_refused(HOST, CHUNKED)
    assert is_refused(HOST, (b"transfer-encoding", b"gzip, chunked"))
    assert is_refused(HOST, (b"transfer-encoding", b"chunked "))
    assert is_refused(CHUNKED, version="1.0")


def test_other_protocols_are_refused() -> None:
    assert is_refused(HOST, method=b"CONNECT")
    assert is_refused(HOST, version="2.0")


def test_blanks_at_the_end_are_no_part_of_a_value() -> None:
    headers = [(b"x", b"a b \t"), (b"y", b""), (b"z", b" ")]
    strip_blanks(headers)
    assert headers == [(b"x", b"a b"), (b"y", b""), (b"z", b"")]


def test_the_size_of_a_head_is_what_its_lines_take() -> None:
    assert head_bytes(b"/path", [HOST, (b"x", b"")]) == len("/path") + len("host: here\r\n") + len("x: \r\n")


def test_an_offer_to_upgrade_is_left_out_and_all_else_stays() -> None:
    offer = [HOST, (b"upgrade", b"h2c"), (b"connection", b"Upgrade, Close"), (b"x", b"1")]
    read_again = without_upgrade(b"POST", b"/path", "1.1", offer)
    assert read_again == b"POST /path HTTP/1.1\r\nhost: here\r\nx: 1\r\nconnection: close\r\n\r\n"
