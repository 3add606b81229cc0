"""What a client would rather have, by its Accept header."""

import pytest

from shared.edge.media_types import HTML, preference, prefers_html

BROWSERS = {
    "Chrome": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7",
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Internet Explorer, which takes all else as gladly": "text/html, application/xhtml+xml, */*",
    "Lynx": "text/html, text/plain, text/sgml, text/css, */*;q=0.01",
    "spaces and capitals": "Text/HTML ; Q=0.5 , application/json;q=0.4",
    "any text": "text/*",
    "our charset": 'text/html;charset="UTF-8"',
    "anything but JSON": "application/json;q=0, application/problem+json;q=0, */*;q=0.001",
    "JSON less than the rest": "application/json;q=0.5, application/problem+json;q=0.5, */*;q=0.6",
    "a comma and a weight in quotes": 'text/html, application/json;note="a, b;q=1"',
}
OTHERS = {
    "curl": "*/*",
    "axios": "application/json, text/plain, */*",
    "an API client": "application/json",
    "problems only": "application/problem+json",
    "JSON before a page": "application/json, text/html;q=0.9",
    "both alike": "text/html, application/json",
    "no page at all": "text/html;q=0, */*",
    "no page, to three digits": "text/html;q=0.000",
    "a page less than the rest": "*/*, text/html;q=0.5",
    "text, but no page": "text/*, text/html;q=0, application/json;q=0.1",
    "a page that there is not": "text/html;level=1",
    "nothing": "",
    "only commas": ",,,",
    "no type": "html",
    "a weight above 1": "text/html;q=1.5",
    "a weight of four digits": "text/html;q=0.1234",
    "a negative weight": "text/html;q=-1",
    "a weight that is no number": "text/html;q=nan",
    "an infinite weight": "text/html;q=inf",
    "a weight in Arabic digits": "text/html;q=\u0661",
    "a quote that does not end": 'text/html;q="1',
}


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS)
def test_a_browser_would_rather_have_a_page(accept: str) -> None:
    assert prefers_html([accept])


@pytest.mark.parametrize("accept", OTHERS.values(), ids=OTHERS)
def test_another_client_would_not(accept: str) -> None:
    assert not prefers_html([accept])


def test_a_client_that_does_not_say_would_not() -> None:
    assert not prefers_html([])


def test_several_headers_are_one_list() -> None:
    assert not prefers_html(["text/html", "application/json"])


def test_the_range_that_names_a_type_most_exactly_decides() -> None:
    ranges = ["*/*;q=0.1", "text/*;q=0.2", "text/html;q=0.3", "text/html;charset=utf-8;q=0.4"]
    weights = [preference([", ".join(reversed(ranges[:count]))], HTML).weight for count in range(1, 5)]
    assert weights == [0.1, 0.2, 0.3, 0.4]
