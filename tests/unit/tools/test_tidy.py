import re
from pathlib import Path

import pytest

from tools.tidy import FILE_BYTES_MAX, ROOT, faults, our_files


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a\n<<<<<<< ours\n", "2: a merge marker"),
        (b"=======\n", "1: a merge marker"),
        (b">>>>>>> theirs\n", "1: a merge marker"),
        (b"a \n", "1: trailing blanks"),
        (b"a\r\n", "1: trailing blanks"),
        (b"a\nb", "2: the last line has no end"),
    ],
)
def test_what_should_not_be_committed_is_named_by_its_line(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert list(faults(path)) == [f"{path}:{fault}"]


@pytest.mark.parametrize("content", [b"", b"a\n\nb\n", b"heading\n========\n", b"\0 \n"])
def test_what_is_fine_is_let_pass(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert list(faults(path)) == []


def test_a_large_file_is_refused_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0" * (FILE_BYTES_MAX + 1))
    assert list(faults(path)) == [f"{path}: larger than 512 KiB"]


def test_it_looks_at_our_files_and_not_at_what_the_machine_makes() -> None:
    found = {str(path.relative_to(ROOT)) for path in our_files()}
    assert {"README.md", ".ci/run", "shared/edge/problems.py", ".editorconfig"} <= found
    assert not [name for name in found if name.startswith((".venv", ".git/", ".mypy_cache"))]


def test_a_commit_is_checked_with_what_make_check_runs() -> None:
    rule = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None
    made = set(re.findall(r"@\$\(BIN\)/(.*?)(?: \.)?\n", rule[1]))
    entries = re.findall(
        r"entry: \.venv/bin/(.*?)(?: --force-exclude)?\n", (ROOT / ".pre-commit-config.yaml").read_text()
    )
    assert set(entries) == made
