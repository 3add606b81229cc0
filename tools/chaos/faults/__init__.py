"""Everything that the nemesis can do, each with its own draw. What is done by the clients (storms, forgeries) is theirs."""

from tools.chaos.faults import clients, links, mongodb, processes, provider
from tools.chaos.faults.fault import Fault, Kind

__all__ = ["KINDS", "ONCE_A_RUN", "Fault", "Kind"]

ONCE_A_RUN: tuple[Kind, ...] = (*provider.ONCE_A_RUN, *clients.ONCE_A_RUN, *links.ONCE_A_RUN)
KINDS: tuple[Kind, ...] = (*processes.KINDS, *mongodb.KINDS, *links.KINDS, *provider.KINDS)
