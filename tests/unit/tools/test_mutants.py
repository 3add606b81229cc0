"""Every rule can be taken out of the code, and a test is named that must see it. `make mutants` runs them."""

import ast
from pathlib import Path

import pytest

from tools.mutants import PAGE, ROOT, Edit, Mutant, MutantError, judge, make_copy, read_table, with_table

TABLE = read_table()
SEES = "tests/unit/shared/test_backoff.py::test_a_scheduled_wait_of_nothing_is_nothing"
OF_THE_CHAOS_RUN = {
    "event-stored-outside-the-transaction",
    "fence-not-checked",
    "key-stored-after-the-order",
    "orders-read-before-the-transaction",
    "second-charge-not-refunded",
}


def mutant(text: str, instead: str, file: str = "shared/backoff.py") -> Mutant:
    return Mutant("a-mutant", "C0", "something", (SEES,), (Edit(file, text, instead),))


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
        make_copy([one], tmp_path / str(number), names=[edit.file for edit in one.edits])
        for edit in one.edits:
            compile((tmp_path / str(number) / edit.file).read_text(), edit.file, "exec")


def test_every_test_that_must_see_a_mutant_is_there() -> None:
    for path, name in {tuple(test.split("::")) for one in TABLE.mutants for test in one.tests}:
        functions = [node.name for node in ast.parse((ROOT / path).read_text()).body if hasattr(node, "name")]
        assert name in functions, path


def test_the_page_of_guarantees_has_the_table_as_it_is() -> None:
    assert with_table(PAGE.read_text(), TABLE) == PAGE.read_text(), "python -m tools.mutants --page"


def test_a_name_that_nobody_has_is_an_error() -> None:
    assert [one.name for one in TABLE.chosen(["fence-not-checked"])] == ["fence-not-checked"]
    assert {one.rule for one in TABLE.chosen(["C3"])} == {"C3"}
    assert TABLE.chosen([]) == list(TABLE.mutants)
    with pytest.raises(MutantError, match="fence-not-chekced"):
        TABLE.chosen(["fence-not-chekced"])


@pytest.mark.parametrize("text", ["this is not in it", "import"], ids=["not at all", "more than once"])
def test_a_text_that_is_not_there_once_is_an_error_that_names_the_mutant(tmp_path: Path, text: str) -> None:
    with pytest.raises(MutantError, match="a-mutant"):
        make_copy([mutant(text, "", file="tools/mutants.py")], tmp_path / "tree", names=["tools"])


def test_a_mutant_that_the_test_sees_is_caught_and_one_that_it_does_not_see_survives() -> None:
    assert judge(mutant("return seconds * random", "return 1 + seconds * random")).survived == []
    assert judge(mutant("return ceiling * random", "return 1 + ceiling * random")).survived == [SEES]


def test_a_mutant_that_breaks_more_than_its_rule_proves_nothing() -> None:
    with pytest.raises(MutantError, match="no test ran"):
        judge(mutant("from random import Random", "from random import Nothing"))


def test_the_table_of_the_page_has_a_line_for_each_mutant() -> None:
    lines = with_table("before\n", TABLE).splitlines()
    assert lines[0] == "before"
    assert all(any(f"| `{one.name}`: " in line for line in lines) for one in TABLE.mutants)
    assert all(sum(promise in line for line in lines) == 1 for promise in TABLE.rules.values())
