"""Takes each rule out of the code and sees a test fail for it. `make mutants`, or `make mutants ARGS="C3 C5"`.

A mutant (`mutants.toml`) is the project without one rule, or without one part of it: a text inside a function that it names
becomes another. Each is made in a copy of the tree, where only the tests that must catch it run. They run unmutated first,
when they must pass, and then mutated, when each must fail. With `--chaos` the mutants marked so run under `make chaos`
instead, one after another, and each must be convicted.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from tools.mutants_chaos import Schedule, run_chaos
from tools.mutants_source import NotFoundError, path_of, replaced

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".toml")
PAGE = ROOT / "docs" / "guarantees.md"
AT_ONCE = 2
RUN_SECONDS = 600.0

_COPIED = ("services", "shared", "tools", "tests", "pyproject.toml", "docs/money.md")
_PACKAGES = ("order_api", "payment_gateway", "shared")
_FAILED = re.compile(r"^FAILED (\S+?)(?:\[| |$)", re.MULTILINE)
_PASSED, _TESTS_FAILED = 0, 1  # pytest's exit statuses; every other one says that it could not do its work
_BEGIN, _END = "<!-- made by python -m tools.mutants --page -->\n", "<!-- end -->"


class MutantError(Exception):
    """A mutant that proves nothing. The message names it and says why."""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Replaces `text`, which is once in `function`, with `instead`. `function` is a function, class or constant of the code
    as "module:qualified name". So it may move within its module, and names what a reader would look for.
    """

    function: str
    text: str
    instead: str = ""


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`loses` says what the code no longer does. With `chaos`, `make chaos` must catch it too."""

    name: str
    rule: str
    loses: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]
    chaos: bool = False


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rules` says in plain words what each of C1 to C25 promises."""

    rules: dict[str, str]
    mutants: tuple[Mutant, ...]

    def chosen(self, wanted: Sequence[str]) -> list[Mutant]:
        """The mutants of the rules or names that are wanted, or all. Raises MutantError."""
        known = {*self.rules, *(mutant.name for mutant in self.mutants)}
        if unknown := [one for one in wanted if one not in known]:
            raise MutantError(f"there is no rule and no mutant called {', '.join(unknown)}")
        return [one for one in self.mutants if not wanted or {one.rule, one.name} & {*wanted}]


class Verdict(NamedTuple):
    """`survived` are the tests that did not fail. `broken` says why the mutant proves nothing at all."""

    mutant: Mutant
    survived: list[str]
    seconds: float
    broken: str = ""

    def __str__(self) -> str:
        seen = f"SURVIVED {', '.join(self.survived)}" if self.survived else "caught"
        verdict = f"BROKEN {self.broken}" if self.broken else seen
        return f"{self.mutant.rule:4}{self.mutant.name:44}{self.seconds:6.1f} s  {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("wanted", nargs="*", metavar="rule or mutant", help="only these; all if none is named")
    parser.add_argument("--apply", nargs=2, metavar=("MUTANT", "DIRECTORY"), help="make a mutated copy of the tree")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--chaos", action="store_true", help="demand that make chaos catches those that it must")
    parser.add_argument("--seed", type=int, default=1, help="with --chaos, as of make chaos")
    parser.add_argument("--minutes", type=float, default=5.0, help="with --chaos")
    parser.add_argument("--orders", type=int, default=2000, help="with --chaos")
    arguments = parser.parse_args()
    try:
        table = read_table()
        if arguments.apply:
            name, directory = arguments.apply
            tree = Path(directory).resolve()
            make_copy([table.chosen([name])[0]], tree)
            print(f"cd {tree} && PYTHONPATH={_path_of(tree)} {sys.executable} -m tools.chaos")
        elif arguments.page:
            PAGE.write_text(with_table(PAGE.read_text(), table))
        elif arguments.chaos:
            schedule = Schedule(arguments.seed, arguments.minutes, arguments.orders)
            sys.exit(1 if convict(table.chosen(arguments.wanted), schedule) else 0)
        else:
            sys.exit(1 if catch(table.chosen(arguments.wanted)) else 0)
    except MutantError as error:
        sys.exit(f"mutants: {error}")


def read_table() -> Table:
    return msgspec.toml.decode(TABLE.read_bytes(), type=Table)


def catch(mutants: Sequence[Mutant]) -> int:
    """Returns how many mutants are not caught, and prints a line for each when it is done. Raises MutantError."""
    must_pass(mutants)
    missed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for verdict in pool.map(_judge, mutants):
            missed += bool(verdict.survived or verdict.broken)
            print(verdict, flush=True)
    print(f"{len(mutants)} mutants, {len(mutants) - missed} caught")
    return missed


def convict(mutants: Sequence[Mutant], schedule: Schedule) -> int:
    """Returns how many mutants go free that `make chaos` must catch. Prints what convicts each, or what chaos said. Raises
    MutantError.
    """
    accused = [mutant for mutant in mutants if mutant.chaos]
    if not accused:
        raise MutantError("make chaos need not catch any of these")
    free = 0
    for mutant in accused:
        with temporary_copy([mutant]) as tree:
            trial = run_chaos(tree, _environment(tree), schedule)
        free += not trial.convicted
        verdict = f"convicted by {', '.join(trial.convicted_by)}" if trial.convicted else f"FREE\n{trial.output}"
        print(f"{mutant.rule:4}{mutant.name:44}{verdict}", flush=True)
    print(f"seed {schedule.seed}: {len(accused)} mutants, {len(accused) - free} convicted")
    return free


def must_pass(mutants: Sequence[Mutant]) -> None:
    """Checks that the unmutated code passes the tests that must fail. Raises MutantError."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    print(f"{len(tests)} tests of the code as it is", flush=True)
    with temporary_copy([]) as tree:
        run = run_tests(tree, tests, "-n", str(AT_ONCE), "--dist", "loadfile")
    if run.returncode != _PASSED:
        raise MutantError(f"the tests fail without any mutant\n{run.stdout[-4000:]}")


def judge(mutant: Mutant) -> Verdict:
    """Raises MutantError."""
    began = time.monotonic()
    with temporary_copy([mutant]) as tree:
        run = run_tests(tree, mutant.tests)
    if run.returncode not in {_PASSED, _TESTS_FAILED}:
        raise MutantError(f"{mutant.name} breaks more than its rule: no test ran\n{run.stdout[-4000:]}")
    failed = set(_FAILED.findall(run.stdout))
    survived = [test for test in mutant.tests if test.partition("[")[0] not in failed]
    return Verdict(mutant, survived, time.monotonic() - began)


def _judge(mutant: Mutant) -> Verdict:
    """Judges each mutant. A broken one does not keep those after it from being judged."""
    try:
        return judge(mutant)
    except MutantError as error:
        return Verdict(mutant, [], 0.0, broken=str(error))


@contextmanager
def temporary_copy(mutants: Iterable[Mutant]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as directory:
        tree = Path(directory) / "tree"
        make_copy(mutants, tree)
        yield tree


def make_copy(mutants: Iterable[Mutant], tree: Path, names: Iterable[str | Path] = _COPIED) -> None:
    """Makes a mutated copy of the project's code and tests, or of the files named, in a directory that does not exist yet.

    Raises MutantError.
    """
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
    for mutant in mutants:
        for edit in mutant.edits:
            apply(mutant, edit, tree)


def apply(mutant: Mutant, edit: Edit, tree: Path) -> None:
    try:
        path = tree / path_of(edit.function, tree)
        path.write_text(replaced(path.read_text(), edit.function, edit.text, edit.instead))
    except NotFoundError as error:
        raise MutantError(f"{mutant.name}: {error}") from None


def run_tests(tree: Path, tests: Iterable[str], *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs the tests on the code in `tree`. Raises MutantError."""
    environment = _environment(tree)
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    try:
        return subprocess.run(
            [*command, *options, *tests],
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MutantError(f"no end within {RUN_SECONDS:.0f} s of {' '.join(tests)}") from None


def _environment(tree: Path) -> dict[str, str]:
    """An environment that imports the copy in `tree`."""
    environment = {**os.environ, "PYTHONPATH": _path_of(tree)}
    _must_import_from(tree, environment)
    return environment


def _path_of(tree: Path) -> str:
    return os.pathsep.join([str(tree), str(tree / "services")])


def _must_import_from(tree: Path, environment: dict[str, str]) -> None:
    """Checks that the copy is imported, because the packages are installed from the original tree too."""
    show = f"import {', '.join(_PACKAGES)}; print(*({', '.join(f'{one}.__file__' for one in _PACKAGES)},), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", show], cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    if strange := [line for line in found.stdout.splitlines() if not Path(line).is_relative_to(tree)]:
        raise MutantError(f"what is tested is not the copy in {tree} but {', '.join(strange)}")


def with_table(page: str, table: Table) -> str:
    """The page with the table of rules, promises, mutants and tests between its marks."""
    before, _, rest = page.partition(_BEGIN)
    return before + _BEGIN + "\n".join(_lines(table)) + "\n" + _END + rest.partition(_END)[2]


def _lines(table: Table) -> Iterator[str]:
    yield "| rule | promise | taken out | caught by |"
    yield "|---|---|---|---|"
    for rule, promise in table.rules.items():
        said = (rule, promise)
        for mutant in table.chosen([rule]):
            tests = "<br>".join(_link(test) for test in mutant.tests)
            yield f"| {' | '.join(said)} | `{mutant.name}`: {mutant.loses} | {tests} |"
            said = ("", "")  # said once


def _link(test: str) -> str:
    path, _, name = test.partition("[")[0].partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})"


if __name__ == "__main__":
    main()
