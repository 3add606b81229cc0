"""The secrets that sign webhooks, as they come and go. A rotation is noted here, and forgers look here."""

import base64
from collections.abc import Iterator
from random import Random


class WebhookSecrets:
    """`accepted` are the secrets that order_api may take, the newest first. `retired` are those that none of its processes
    takes any more.
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
        """Makes a new secret; the others are accepted beside it."""
        self.accepted.insert(0, "whsec_" + base64.b64encode(self._draw.randbytes(32)).decode())
        return self.accepted[0]

    def retire_the_old(self) -> None:
        """Retires all but the newest. Call it when no process that knows another still runs."""
        newest, *old = self.accepted
        self.accepted = [newest]
        self.retired += old
