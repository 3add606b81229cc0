"""Faults of the database, on demand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from shared.mongo import Client

FailCommand = Callable[..., Awaitable[None]]


@pytest.fixture
async def fail_command(mongo: Client) -> AsyncIterator[FailCommand]:
    """`await fail_command(app_name, ["commitTransaction"], times=1, errorCode=…)`: see MongoDB's failCommand."""

    async def fail(app_name: str, commands: list[str], *, times: int, **how: Any) -> None:
        mode = {"times": times} if times else "off"
        data = {"failCommands": commands, "appName": app_name, **how}
        try:
            await mongo.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
        except OperationFailure as error:
            pytest.skip(f"this MongoDB has no failCommand (enableTestCommands): {error}")

    yield fail
    await mongo.admin.command("configureFailPoint", "failCommand", mode="off")
