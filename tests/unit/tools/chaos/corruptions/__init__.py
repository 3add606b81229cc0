"""Ways to corrupt the example run, and of each the invariants that it violates. Most violate one."""

from tests.unit.tools.chaos.corruptions import acknowledged, events, facts, manners, messages, money, told
from tests.unit.tools.chaos.corruptions.means import CORRUPTIONS

__all__ = ["CORRUPTIONS", "acknowledged", "events", "facts", "manners", "messages", "money", "told"]
