"""What goes over the wire, as steps: one command to MongoDB with its reply, or one HTTP request with its reply."""

import re
from asyncio import StreamReader
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import bson

_HEADER_BYTES = 16
_OP_MSG = 2013
_MORE_REPLIES = 1 << 16  # the client takes replies without end to this one request: monitoring
# What a client does to be connected, and a service at its start, is no part of any flow. A command that we do not know is.
_NO_STEPS = frozenset(
    {"hello", "ismaster", "isMaster", "ping", "buildInfo", "endSessions", "killCursors"}
    | {"saslStart", "saslContinue", "listCollections", "create", "collMod", "createIndexes"}
)
_READS = frozenset({"find", "getMore", "aggregate", "count", "distinct"})

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")


@dataclass(frozen=True)
class Step:
    """`acts`: what arrives late still takes effect."""

    name: str
    acts: bool


class Language(NamedTuple):
    """How one kind of connection is read. `read` returns a whole message, b"" at the end; `step` is what a request asks
    for, None if that is no part of any flow; `is_step` says the same once the reply is there.
    """

    read: Callable[[StreamReader], Awaitable[bytes]]
    step: Callable[[bytes], Step | None]
    is_step: Callable[[Step, bytes], bool]
    is_endless: Callable[[bytes], bool]


async def _read_command(reader: StreamReader) -> bytes:
    header = await reader.readexactly(_HEADER_BYTES)
    return header + await reader.readexactly(int.from_bytes(header[:4], "little") - _HEADER_BYTES)


def _command(message: bytes) -> Step | None:
    if int.from_bytes(message[12:16], "little") != _OP_MSG:
        return None  # the first greeting of a connection
    document = _document(message)
    command = next(iter(document))
    if command in _NO_STEPS:
        return None
    return Step(f"{command} {document[command]}", acts=command not in _READS)


def _document(message: bytes) -> dict[str, Any]:
    """The command or the reply itself; what is inserted or updated may stand in sections of its own before it."""
    position = _HEADER_BYTES + 4
    while message[position] != 0:
        position += 1 + int.from_bytes(message[position + 1 : position + 5], "little")
    size = int.from_bytes(message[position + 1 : position + 5], "little")
    return bson.decode(message[position + 1 : position + 1 + size])


def _found_something(step: Step, reply: bytes) -> bool:
    """A read that finds nothing leaves the world as it was, and whoever polls makes them all the time."""
    if not step.name.startswith(("find ", "aggregate ")):
        return True
    found = _document(reply).get("cursor")
    return found is None or bool(found["firstBatch"])


def _is_endless(message: bytes) -> bool:
    flags = int.from_bytes(message[_HEADER_BYTES : _HEADER_BYTES + 4], "little")
    return int.from_bytes(message[12:16], "little") == _OP_MSG and bool(flags & _MORE_REPLIES)


async def _read_http(reader: StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _CONTENT_LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def _request(message: bytes) -> Step:
    method, target, _ = message.partition(b"\r\n")[0].decode().split(" ")
    return Step(f"{method} {_ID.sub('{id}', target.partition('?')[0])}", acts=method == "POST")


def _answer(message: bytes) -> Step:
    return Step(f"answer {_request(message).name}", acts=False)


MONGODB = Language(_read_command, _command, _found_something, _is_endless)
HTTP = Language(_read_http, _request, lambda _step, _reply: True, lambda _message: False)
ANSWERS = HTTP._replace(step=_answer)  # the same, seen by the server
