"""`payment-gateway`, or `python -m payment_gateway`: `serve`, and everything else that the command line does."""

import sys


def main() -> None:
    if sys.argv[1:] == ["serve"]:  # containers start this, without loading what only people at a terminal need
        from payment_gateway.serve import main as serve  # noqa: PLC0415

        serve()
    else:
        from payment_gateway.cli import main as command_line  # noqa: PLC0415

        command_line()


if __name__ == "__main__":
    main()
