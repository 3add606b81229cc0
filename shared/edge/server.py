"""uvicorn, with every choice that matters made explicitly."""

import signal
import sys
from collections.abc import Callable, Mapping

import uvicorn
from litestar.types import ASGIApp

from shared.env import SettingError, load
from shared.env import Settings as SettingsType

BODY_BYTES_MAX = 64 * 1024
STOP_SECONDS = 15


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; then stops accepting, finishes what is in hand and ends with exit status 0."""
    # uvicorn handles the signal while it serves, and when it is done raises it anew for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def load_or_exit(
    settings: type[SettingsType], environ: Mapping[str, str], check: Callable[[SettingsType], None]
) -> SettingsType:
    """The settings, or exit status 2 with one line on standard error that names what is wrong."""
    try:
        loaded = load(settings, environ)
        check(loaded)
    except SettingError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - logs are not configured yet
        raise SystemExit(2) from None
    return loaded
