"""Media types in Content-Type (RFC 9110 §8.3), and how much a client wants each, by its Accept (§12.5.1). Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.request import parse_http_list

HTML = "text/html; charset=utf-8"
_JSON = ("application/json", "application/problem+json")

# RFC 9110 §5.6.6: any number of `;` with a parameter or nothing after each.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_NAME})=({_NAME}|{_QUOTED}))?")
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")  # RFC 9110 §12.4.2


class Preference(NamedTuple):
    """How much a client wants a media type: by weight, from 0 (not at all) to 1, then by how exactly it is named."""

    weight: float
    exactness: tuple[int, int]


def parse_media_type(value: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The type, and the names and values of its parameters; type and names in lower case. None if it is malformed."""
    media_type = value.partition(";")[0]
    position, parameters = len(media_type), []
    while position < len(value):
        if (parameter := _PARAMETER.match(value, position)) is None:
            return None
        name, text = parameter.groups("")
        if name:
            parameters.append((name.lower(), re.sub(r"\\(.)", r"\1", text.strip('"'))))
        position = parameter.end()
    return media_type.strip(" \t").lower(), parameters


def prefers_html(accept: Sequence[str]) -> bool:
    """Whether a client with these Accept headers wants a page more than JSON, as browsers do."""
    html = preference(accept, HTML)
    return html.weight > 0 and all(html > preference(accept, json) for json in _JSON)


def preference(accept: Sequence[str], media_type: str) -> Preference:
    """How much the client wants `media_type`. The range that names it most exactly decides; malformed ranges are ignored.
    Without the header a client wants everything equally.
    """
    if not accept:
        return Preference(1, (0, 0))
    found = [_preference(one, media_type) for one in parse_http_list(",".join(accept))]
    covering = [one for one in found if one is not None]
    return max(covering, key=lambda one: (one.exactness, one.weight), default=Preference(0, (0, 0)))


def _preference(media_range: str, media_type: str) -> Preference | None:
    """The preference in one range of an Accept header. None if it is malformed, or does not cover `media_type`."""
    asked, offered = parse_media_type(media_range), parse_media_type(media_type)
    if asked is None or offered is None:
        return None
    name, parameters = offered
    names = ("*/*", f"{name.partition('/')[0]}/*", name)  # from the least to the most exact
    weights = [value for key, value in asked[1] if key == "q"] or ["1"]
    narrowing = {(key, value.lower()) for key, value in asked[1] if key != "q"}
    if asked[0] not in names or not narrowing <= set(parameters) or not _WEIGHT.match(weights[0]):
        return None
    return Preference(float(weights[0]), (names.index(asked[0]), len(narrowing)))
