"""`order-api`, or `python -m order_api`: serves; with a word behind it, everything else that the command line does."""

import sys


def main() -> None:
    if sys.argv[1:] in ([], ["serve"]):  # what containers start: without what only people at a terminal need
        from order_api.serve import main as run  # noqa: PLC0415
    else:
        from order_api.cli import main as run  # noqa: PLC0415
    run()


if __name__ == "__main__":
    main()
