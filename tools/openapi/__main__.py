"""Writes the documents of both services, or says what each should hold."""

import json
from collections.abc import Mapping
from pathlib import Path

import order_api.app
import order_api.settings
import payment_gateway.app
import payment_gateway.settings
from shared.env import Secret
from tools.openapi.document import Api, document_of
from tools.openapi.order_api import API as ORDER_API
from tools.openapi.payment_gateway import API as PAYMENT_GATEWAY

SERVICES = Path(__file__).parent.parent.parent / "services"


def documents() -> Mapping[Path, str]:
    """What each file should hold."""
    uri = Secret("mongodb://127.0.0.1:1")  # nothing is asked of the database
    orders = order_api.app.Application(order_api.settings.Settings(mongodb_uri=uri))
    gateway = payment_gateway.app.Application(payment_gateway.settings.Settings(mongodb_uri=uri))
    return dict([_document(ORDER_API, vars(orders)), _document(PAYMENT_GATEWAY, vars(gateway))])


def _document(api: Api, parts: Mapping[str, object]) -> tuple[Path, str]:
    document = json.dumps(document_of(api, parts), indent=2, ensure_ascii=False) + "\n"
    return SERVICES / api.title / "openapi.json", document


def main() -> None:
    for path, document in documents().items():
        path.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
