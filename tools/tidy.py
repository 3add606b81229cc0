"""`python -m tools.tidy [file …]`: checks what no other check looks at, in the files named or in all of them.

It finds left-over merge markers, trailing blanks, a last line without its end, and files too large to belong here. It uses
the standard library only, and no git.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE_BYTES_MAX = 512 * 1024

_NOT_OURS = re.compile(r"\.git|\.venv|\.data|__pycache__|\.\w+_cache|\.hypothesis|.*\.egg-info")
_MERGE_MARKER = re.compile(rb"^(<{7}|>{7}|\|{7}) |^={7}$")


def main() -> None:
    named = [Path(name) for name in sys.argv[1:]]
    found = [fault for path in named or our_files() for fault in faults(path)]
    if found:
        sys.exit("\n".join(found))


def our_files() -> Iterator[Path]:
    """Every file of the project, but for what the machine makes."""
    for directory, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not _NOT_OURS.fullmatch(name)]
        yield from (Path(directory, name) for name in names if not _NOT_OURS.fullmatch(name))


def faults(path: Path) -> Iterable[str]:
    """The faults of one file, each as `path:line: fault`."""
    content = path.read_bytes()
    if len(content) > FILE_BYTES_MAX:
        yield f"{path}: larger than {FILE_BYTES_MAX // 1024} KiB"
    if b"\0" in content:
        return  # not text
    lines = content.split(b"\n")
    if lines[-1]:
        yield f"{path}:{len(lines)}: the last line has no end"
    for number, line in enumerate(lines, 1):
        if _MERGE_MARKER.match(line):
            yield f"{path}:{number}: a merge marker"
        if line != line.rstrip(b" \t\r"):
            yield f"{path}:{number}: trailing blanks"


if __name__ == "__main__":
    main()
