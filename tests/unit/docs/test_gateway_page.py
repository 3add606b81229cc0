"""services/payment_gateway/README.md names what there is: tokens, faults, rates, commands."""

import re
from pathlib import Path

import pytest
import rich_click as click

from payment_gateway.cli.root import payment_gateway
from payment_gateway.faults.payment_method import OUTCOMES, STEPS
from payment_gateway.faults.rates import RATED, REPLY_FAULTS, WEBHOOK_FAULTS
from payment_gateway.faults.scenario import Scenario

PAGE = (Path(__file__).parents[3] / "services" / "payment_gateway" / "README.md").read_text(encoding="utf-8")
_COMMAND = re.compile(r"(?:^|`|\$\()payment-gateway ([a-z][^`|\n)]*)", re.MULTILINE)


@pytest.mark.parametrize("name", [*OUTCOMES, *STEPS, *REPLY_FAULTS, *WEBHOOK_FAULTS])
def test_every_token_and_fault_has_its_place(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_token_that_it_names_exists() -> None:
    assert set(re.findall(r"\bpm_\w+", PAGE)) - {"pm_"} == {*OUTCOMES, *STEPS}


def test_every_rate_that_it_sets_exists() -> None:
    rates = re.findall(r'"rates": \{(.*?)\}', PAGE)
    named = {name for one in rates for name in re.findall(r'"(\w+)":', one)} | set(
        re.findall(r"faults set (\w+)=", PAGE)
    )
    assert named
    assert named <= set(RATED)


@pytest.mark.parametrize("name", Scenario.__struct_encode_fields__)
def test_every_member_of_a_scenario_is_named(name: str) -> None:
    assert name in PAGE


@pytest.mark.parametrize("line", sorted(set(_COMMAND.findall(PAGE))))
def test_every_command_exists_and_takes_these_options(line: str) -> None:
    command: click.Command = payment_gateway
    words = line.split("  ", maxsplit=1)[0].split()
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= taken
