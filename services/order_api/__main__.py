"""`order-api`, or `python -m order_api`: serves; with a word behind it, everything else that the command line does."""

import sys


def main() -> None:
    if sys.argv[1:] in ([], ["serve"]):  # what containers start: without what only people at a terminal need
        from order_api.serve import main as serve  # noqa: PLC0415

        serve()
    else:
        from order_api.cli import main as command_line  # noqa: PLC0415

        command_line()


if __name__ == "__main__":
    main()
