"""Everything that the nemesis can do, each with its own draw. What is done by the clients (storms, forgeries) is theirs."""

from tools.chaos.faults import links, mongodb, processes, provider
from tools.chaos.faults.fault import Fault, Kind

__all__ = ["KINDS", "Fault", "Kind"]

KINDS: tuple[Kind, ...] = (*processes.KINDS, *mongodb.KINDS, *links.KINDS, *provider.KINDS)
