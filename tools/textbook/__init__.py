"""An order service as a careful engineer writes it by hand, for `make bench` to compare order_api with.

It keeps the same promises on its main path, with the same libraries. A request is one transaction over three collections:
idempotency key, order and outbox row. Workers claim the rows and charge them. A signed webhook is one transaction too: the
event is stored, and the order is Paid. Every commit is journaled on a majority. It does nothing that these promises do not
need: no look-up before the insert, no validators, no access log, no metrics, no console.
"""
