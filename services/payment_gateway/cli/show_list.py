"""Requests and prints every list."""

from datetime import timedelta
from typing import Any

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.terminal import Columns, Terminal
from shared.times import rfc3339

LIMIT_DEFAULT = 20


def show_list(
    gateway: Gateway,
    terminal: Terminal,
    path: str,
    columns: Columns,
    *,
    limit: int | None,
    cursor: str | None,
    every: bool,
    created_from: int | str | None,
    created_to: int | str | None,
    **asked: Any,
) -> None:
    """Requests the list at `path` with the parameters `asked`, and prints it. `paged` makes the other options."""
    if every and limit is not None:
        raise click.UsageError("--all takes no --limit")
    asked |= {"createdFrom": _time(gateway, created_from), "createdTo": _time(gateway, created_to), "cursor": cursor}
    pages = gateway.pages(path, **asked) if every else [gateway.list(path, limit or LIMIT_DEFAULT, **asked)]
    terminal.table(pages, columns)


def _time(gateway: Gateway, moment: int | str | None) -> str | None:
    """A time as the API takes it. "So long ago" counts by the gateway's clock, which gave everything its time."""
    return rfc3339(gateway.now() - timedelta(seconds=moment)) if isinstance(moment, int) else moment
