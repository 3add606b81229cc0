"""An event loop whose time goes on only while all tasks wait, and then at once to the next timer. No machine is too slow."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOMENT_SECONDS = 0.02


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._selecting = _Selector()
        super().__init__(self._selecting)

    def time(self) -> float:
        return self._selecting.seconds


class _Selector(selectors.DefaultSelector):
    """Lets time pass, where another would wait for it; after a moment, because bytes may be on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout and min(timeout, MOMENT_SECONDS))
        if not ready:
            self.seconds += timeout or 0
        return ready


async def until_without_time(condition: Callable[[], bool]) -> None:
    """Lets the other tasks run, and bytes arrive, while no time passes."""
    while not condition():  # noqa: ASYNC110 - no event tells of bytes on their way
        await asyncio.sleep(0)


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
