"""Deliveries as their verbs write them."""

from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, as_stored
from shared.documents import Documents


def stored_deliveries(store: Store) -> Documents[Delivery, None]:
    return Documents(store.deliveries, Delivery, encode=as_stored)
