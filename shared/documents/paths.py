"""The smallest update that makes one document of another. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.mongo import Document

_GONE = object()  # stands for a value that is no longer there


def update_between(before: Document, after: Document) -> Document:
    """The `$set` and `$unset` of the paths in which `after` differs; {} if there are none. A new element of an array is a
    `$set` of its position, and a changed one a `$set` of its fields: every write compares the version, so positions are
    certain, and a long array is not written again for one element. MongoDB refuses `$push` beside a `$set` in the same
    array. An array that got shorter is set whole.
    """
    differences = dict(_differences(before, after, ""))
    changed = {path: value for path, value in differences.items() if value is not _GONE}
    gone = {path: "" for path, value in differences.items() if value is _GONE}
    return {**({"$set": changed} if changed else {}), **({"$unset": gone} if gone else {})}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name in before:
        if name not in after:
            yield path + name, _GONE
    for name, value in after.items():
        if name not in before:
            yield path + name, value
        elif not _is_same(before[name], value):
            yield from _differences_of_values(before[name], value, path + name)


def _differences_of_values(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and _has_paths(before) and _has_paths(after):
        yield from _differences(before, after, f"{path}.")
    elif _is_array(before) and _is_array(after) and 0 < len(before) <= len(after):
        yield from _differences(_by_position(before), _by_position(after), f"{path}.")
    else:
        yield path, after


def _is_same(before: Any, after: Any) -> bool:
    """Whether MongoDB would store the same. Python calls 0, 0.0 and False equal, also inside arrays and documents."""
    if before is after:
        return True
    if type(before) is not type(after) or before != after:
        return False
    if isinstance(before, dict):
        return all(_is_same(value, after[name]) for name, value in before.items())
    return not _is_array(before) or all(map(_is_same, before, after))


def _is_array(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _by_position(array: Sequence[Any]) -> dict[str, Any]:
    return {str(position): element for position, element in enumerate(array)}


def _has_paths(document: Mapping[str, Any]) -> bool:
    """Whether each of its fields can be named in a path."""
    return not any("." in name or name.startswith("$") or not name for name in document)
