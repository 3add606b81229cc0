"""docs/how-it-works.md quotes the code as it is."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-it-works.md"
QUOTES = re.findall(
    r"\]\((\.\./[\w/]+\.py)\)[^\n]*\n+```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def test_every_quote_names_its_file() -> None:
    assert len(QUOTES) == PAGE.read_text(encoding="utf-8").count("```python") >= 6


@pytest.mark.parametrize(("path", "quote"), QUOTES, ids=[path.rpartition("/")[2] for path, _ in QUOTES])
def test_a_quote_is_found_in_its_file_word_for_word(path: str, quote: str) -> None:
    source, wanted = (PAGE.parent / path).read_text(encoding="utf-8").splitlines(), quote.splitlines()
    parts = (source[start : start + len(wanted)] for start in range(len(source)))
    assert wanted in (dedent("\n".join(part)).splitlines() for part in parts)
