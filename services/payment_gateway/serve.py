"""`payment-gateway serve` serves until SIGTERM; `payment-gateway doctor` checks what that needs."""

import os
from collections.abc import Callable, Mapping

from payment_gateway.app import create_app
from payment_gateway.schema import prepare, refuse_old_layout
from payment_gateway.settings import Settings, check, off
from shared.doctor import DoctorSettings, patient_of, run_doctor
from shared.edge.limits import HttpLimits
from shared.edge.server import await_database_or_exit, load_or_exit, require_port_or_exit, serve
from shared.telemetry import configure_logs
from shared.tracing import exporting_traces


def main() -> None:
    settings = load_or_exit(Settings, os.environ, check)
    limits = load_or_exit(HttpLimits, os.environ)
    configure_logs(settings.log_level, settings.log_format, service="payment_gateway")
    require_port_or_exit(settings.address)
    name, watched = settings.payment_gateway_database, settings.has_console
    await_database_or_exit(settings.mongodb_uri, lambda client: prepare(client[name], watched=watched))
    app = create_app(settings, limits)
    with exporting_traces("payment_gateway"):
        serve(app, settings.address, limits=limits)


def examine(environ: Mapping[str, str], echo: Callable[[str], object]) -> int:
    """Runs `doctor`, which prints its findings, and returns the exit status."""
    settings = load_or_exit(Settings, environ)
    own, database = load_or_exit(DoctorSettings, environ), settings.payment_gateway_database
    patient = patient_of(settings, own, database=database, check=check, off=off, check_layout=refuse_old_layout)
    return run_doctor(patient, echo)
