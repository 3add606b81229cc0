"""The console's own list of faults names each that there is, and no other."""

import re
from importlib.resources import files

from payment_gateway.faults.rates import FORGERIES, RATED

TEXT = (files("payment_gateway") / "console" / "faults.js").read_text(encoding="utf-8")
GROUPS, FORGED = TEXT.split("export const FORGERIES")


def names(text: str) -> list[str]:
    return re.findall(r"^ +(\w+): \[\"", text, re.MULTILINE)


def test_there_is_a_slider_for_every_fault() -> None:
    assert sorted(names(GROUPS)) == sorted(RATED)


def test_an_event_can_be_resent_as_every_forgery() -> None:
    assert names(FORGED) == [*FORGERIES]
