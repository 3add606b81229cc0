"""The update that makes one document of another is as small as it can be, and never touches a neighbour."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.documents.paths import update_between

Value = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "z.w", "$v"]), inner, max_size=3)
    ),
    max_leaves=12,
)
Documents = st.dictionaries(st.sampled_from(["a", "b", "c"]), Value, max_size=3)


def applied(document: Any, update: dict[str, Any]) -> Any:
    """What MongoDB makes of `document`, for the operators that we use."""
    after = _copy(document)
    for path, value in update.get("$set", {}).items():
        *above, last = path.split(".")
        inner = _at(after, above)
        if isinstance(inner, list) and int(last) == len(inner):
            inner.append(value)
        else:
            inner[int(last) if isinstance(inner, list) else last] = value
    for path in update.get("$unset", {}):
        *above, last = path.split(".")
        del _at(after, above)[last]
    return after


def _at(document: Any, path: list[str]) -> Any:
    for name in path:
        document = document[int(name) if isinstance(document, list) else name]
    return document


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(inner) for name, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


@given(Documents, Documents)
@example({"a": {"z.w": {"x": [False, 1]}}}, {"a": {"z.w": {"x": [0, 1]}}})
@example({"a": [{"x": 1}]}, {"a": [{"x": True}]})
def test_the_update_makes_one_document_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    update = update_between(before, after)
    made = applied(before, update)
    assert made == after
    assert repr(_sorted(made)) == repr(_sorted(after))  # True is not 1


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("before", "after", "update"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3, "b": 2}, {"$set": {"a": 3}}),
        ({"a": [{"x": 1}]}, {"a": [{"x": 1}, {"x": 2}]}, {"$set": {"a.1": {"x": 2}}}),
        ({"a": [{"x": 1, "y": 1}]}, {"a": [{"x": 1, "y": 2}]}, {"$set": {"a.0.y": 2}}),
        ({"a": [1, 2, 3]}, {"a": [2, 3]}, {"$set": {"a": [2, 3]}}),
        ({"a": []}, {"a": [1]}, {"$set": {"a": [1]}}),
        ({"a": {"x.y": 1}}, {"a": {"x.y": 2}}, {"$set": {"a": {"x.y": 2}}}),
        ({"a": {"x": 1}, "b": 1}, {"a": {}}, {"$unset": {"a.x": "", "b": ""}}),
        ({"a": 1}, {"a": True}, {"$set": {"a": True}}),
    ],
)
def test_only_the_paths_that_differ_are_written(
    before: dict[str, Any], after: dict[str, Any], update: dict[str, Any]
) -> None:
    assert update_between(before, after) == update
