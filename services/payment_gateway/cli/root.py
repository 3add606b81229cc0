"""The root command, and the two that call no gateway: `serve`, which is one, and `doctor`."""

import os
import sys

import rich_click as click

from shared import VERSION

EXIT_STATUSES = """
Exit status: 0 done, 1 the gateway refused (the reason is printed), 2 the line could not be understood,
3 the gateway is not reachable or gave no answer, 4 what was waited for did not come true in time.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_STATUSES)
@click.version_option(VERSION)
def payment_gateway() -> None:
    """A mock payment provider: serve it, see what it does, and make it misbehave.

    Each command takes --url, --api-key and --json; see its --help.
    """


@payment_gateway.command("serve")
def serve() -> None:
    """Serve until SIGTERM. The settings come from the environment: MONGODB_URI, APP_ENV, …"""
    from payment_gateway.serve import main  # noqa: PLC0415 - seconds of imports that only this one needs

    main()


@payment_gateway.command("doctor")
def doctor() -> None:
    """Check the settings of `serve` and its MongoDB, and print a line for each finding.

    It tries every privilege, measures a round trip and a write, and tries the facts that safety rests on in a scratch
    database beside that of the gateway. If its user may not write there, set DOCTOR_MONGODB_URI to the URI of one that may.
    Exit status: 0 nothing is wrong, 1 something is, 2 a setting does not parse.
    """
    from payment_gateway.serve import examine  # noqa: PLC0415 - as above

    sys.exit(examine(os.environ, click.echo))
