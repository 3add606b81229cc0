"""Faults of the database, on demand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest
from pymongo.errors import OperationFailure

from shared.mongo import Client

FailCommand = Callable[..., Awaitable[None]]
UNCONFIRMED = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


@pytest.fixture
async def fail_command(mongo: Client) -> AsyncIterator[FailCommand]:
    """`await fail_command(app_name, ["commitTransaction"], times=1, errorCode=…)`: see MongoDB's failCommand.

    `times` may be "always": PyMongo tries an unconfirmed commit again a thousand times in half a second. With
    `all_after` that many succeed first, and then none does.
    """

    async def fail(
        app_name: str, commands: list[str], *, times: int | Literal["always"] = 0, all_after: int = 0, **how: Any
    ) -> None:
        mode: Any = "alwaysOn" if times == "always" else {"times": times} if times else "off"
        mode = {"skip": all_after} if all_after else mode
        data = {"failCommands": commands, "appName": app_name, **how}
        try:
            await mongo.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
        except OperationFailure as error:
            pytest.skip(f"this MongoDB has no failCommand (enableTestCommands): {error}")

    yield fail
    await mongo.admin.command("configureFailPoint", "failCommand", mode="off")
