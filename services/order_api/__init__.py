"""The order service. To read it in the order of an order's life:

1. `order_routes.py` parses a request and calls a verb; `routes.py` lists all routes.
2. `place_order.py` inserts one document: the order, its idempotency key, and the call that will charge it.
3. `dispatch_outbox.py` claims that call (`claims.py`) and makes it of the payment provider (`gateway_client.py`).
4. `receive_webhook.py` verifies what the provider says, `record_events.py` stores it, merges it into its
   order and marks it as applied.
5. `reconcile.py` asks the provider about whatever is still open.
6. `cancel_order.py`, `refund_order.py`, `resolve_review.py` and `redrive_message.py` are what people do about it afterwards.

The rules are in the nouns, which do no I/O: `order.py`, `calls.py`, `refund.py`, `outbox.py`, `event.py`, `breaker.py`.
`schema.py` and `store.py` are the database, `metrics.py` and `take_stock.py` are what an operator sees, `app.py` puts it all
together.
"""
