"""`order-api serve`: serves until SIGTERM."""

import os

from order_api.app import create_app
from order_api.schema import prepare
from order_api.settings import Settings, check
from shared.edge.limits import HttpLimits
from shared.edge.server import await_database_or_exit, load_or_exit, require_port_or_exit, serve
from shared.telemetry import configure_logs
from shared.tracing import exporting_traces


def main() -> None:
    settings = load_or_exit(Settings, os.environ, check)
    limits = load_or_exit(HttpLimits, os.environ)
    configure_logs(settings.log_level, settings.log_format, service="order_api")
    require_port_or_exit(settings.address)
    name, watched = settings.order_api_database, settings.has_console
    await_database_or_exit(settings.mongodb_uri, lambda client: prepare(client[name], watched=watched))
    app = create_app(settings, limits)
    with exporting_traces("order_api"):
        serve(app, settings.address, limits=limits)
