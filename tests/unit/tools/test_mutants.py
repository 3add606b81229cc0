"""Every rule can be taken out of the code, and a test is named that must see it. `make mutants` runs them."""

import ast
import re
from pathlib import Path

import pytest

from tools.mutants import PAGE, ROOT, Edit, Mutant, MutantError, judge, make_copy, read_table, with_table
from tools.mutants_source import path_of, replaced

TABLE = read_table()
SEES = "tests/unit/shared/test_backoff.py::test_a_scheduled_wait_of_nothing_is_nothing"
OF_THE_CHAOS_RUN = {
    "applied-before-the-fact",
    "claim-token-not-compared",
    "order-stored-without-its-key",
    "version-not-compared",
    "second-charge-not-refunded",
}


def mutant(text: str, instead: str, function: str = "shared.backoff:scheduled") -> Mutant:
    return Mutant("a-mutant", "C0", "something", (SEES,), (Edit(function, text, instead),))


def test_every_rule_has_a_promise_and_is_taken_out_by_a_mutant() -> None:
    rules = [f"C{number}" for number in range(1, 26)]
    assert list(TABLE.rules) == rules
    assert sorted({one.rule for one in TABLE.mutants}, key=rules.index) == rules


def test_every_mutant_has_a_name_of_its_own() -> None:
    names = [one.name for one in TABLE.mutants]
    assert sorted(set(names)) == sorted(names)
    assert {one.name for one in TABLE.mutants if one.chaos} == OF_THE_CHAOS_RUN


def test_what_is_taken_out_is_in_the_code_once_and_leaves_python(tmp_path: Path) -> None:
    for number, one in enumerate(TABLE.mutants):
        paths = {path_of(edit.function, ROOT) for edit in one.edits}
        make_copy([one], tmp_path / str(number), names=paths)
        for path in paths:
            compile((tmp_path / str(number) / path).read_text(), path, "exec")


def test_every_test_that_must_see_a_mutant_is_there() -> None:
    for path, name in {tuple(test.split("::")) for one in TABLE.mutants for test in one.tests}:
        functions = [node.name for node in ast.parse((ROOT / path).read_text()).body if hasattr(node, "name")]
        assert name in functions, path


def test_the_page_of_guarantees_has_the_table_as_it_is() -> None:
    assert with_table(PAGE.read_text(), TABLE) == PAGE.read_text(), "python -m tools.mutants --page"


def test_a_name_that_nobody_has_is_an_error() -> None:
    assert [one.name for one in TABLE.chosen(["claim-token-not-compared"])] == ["claim-token-not-compared"]
    assert {one.rule for one in TABLE.chosen(["C3"])} == {"C3"}
    assert TABLE.chosen([]) == list(TABLE.mutants)
    with pytest.raises(MutantError, match="claim-token-not-compered"):
        TABLE.chosen(["claim-token-not-compered"])


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("this is not in it", "tools.mutants:read_table"),
        ("table", "tools.mutants:main"),
        ("TABLE", "tools.mutants:judge"),
        ("TABLE", "tools.mutants:Table.no_more"),
        ("TABLE", "tools.no_more:main"),
    ],
    ids=["not at all", "more than once", "elsewhere only", "no function", "no module"],
)
def test_a_mutant_that_no_longer_applies_says_which_function_it_looked_for(
    tmp_path: Path, text: str, function: str
) -> None:
    with pytest.raises(MutantError, match=rf"a-mutant: .* {re.escape(function)}"):
        make_copy([mutant(text, "", function)], tmp_path / "tree", names=["tools"])


def test_a_mutant_applies_wherever_its_function_stands() -> None:
    edits = {"function": "a.module:Thing.act", "text": "x + 1", "instead": "x"}
    before = "class Thing:\n    @cached\n    def act(x): return x + 1\n\ndef act(x): return x + 1\n"
    other_way_round = (
        "def act(x): return x + 1\n\nclass Thing:\n    limit = 3\n    @cached\n    def act(x): return x + 1\n"
    )
    assert replaced(before, **edits) == before.replace("x + 1", "x", 1)
    assert replaced(other_way_round, **edits) == other_way_round[:-6] + "x\n"


def test_a_mutant_that_the_test_sees_is_caught_and_one_that_it_does_not_see_survives() -> None:
    assert judge(mutant("return seconds * random", "return 1 + seconds * random")).survived == []
    other = mutant("return ceiling * random", "return 1 + ceiling * random", "shared.backoff:exponential")
    assert judge(other).survived == [SEES]


def test_a_mutant_that_breaks_more_than_its_rule_proves_nothing() -> None:
    with pytest.raises(MutantError, match="no test ran"):
        judge(mutant("def scheduled", "def nothing"))


def test_the_table_of_the_page_has_a_line_for_each_mutant() -> None:
    lines = with_table("before\n", TABLE).splitlines()
    assert lines[0] == "before"
    assert all(any(f"| `{one.name}`: " in line for line in lines) for one in TABLE.mutants)
    assert all(sum(promise in line for line in lines) == 1 for promise in TABLE.rules.values())
