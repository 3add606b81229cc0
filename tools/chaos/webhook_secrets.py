"""The secrets that webhooks are signed with, as they come and go: who rotates them says so here, and forgers look."""

import base64
from collections.abc import Iterator
from random import Random


class WebhookSecrets:
    """`accepted` are those that order_api may take, the newest first. `retired` are those that none of its processes takes
    any more, whatever is signed with them.
    """

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self.retired: list[str] = []
        self.accepted: list[str] = []
        self.add()

    def __iter__(self) -> Iterator[str]:
        """All that were ever true."""
        return iter([*self.accepted, *self.retired])

    def add(self) -> str:
        """A new one; the others are accepted beside it."""
        self.accepted.insert(0, "whsec_" + base64.b64encode(self._draw.randbytes(32)).decode())
        return self.accepted[0]

    def retire_the_old(self) -> None:
        """Only the newest stays: call it when no process that knows another still runs."""
        newest, *old = self.accepted
        self.accepted = [newest]
        self.retired += old
