"""The order service. To read it in the order of an order's life:

1. `order_routes.py` parses a request and calls a verb; `problems.py` says what is answered where the verb refuses.
   `routes.py` lists all routes.
2. `place_order.py` inserts one document: the order with its idempotency key and the call that will charge it.
3. `dispatch_outbox.py` claims calls that are due (`claims.py`) and sends them to the provider (`gateway_client.py`).
4. `receive_webhook.py` verifies what the provider says. `record_events.py` stores it, and the order learns it.
5. `reconcile.py` asks the provider about whatever is still open, `sweep_events.py` about what it did unasked.
6. `pay_order.py`, `cancel_order.py`, `refund_order.py`, `resolve_review.py` and `redrive_message.py` are what people do
   afterwards.

The rules are in the nouns, which do no I/O. `order.py` is the document: its facts (`facts.py`) and its calls (`calls.py`,
`outbox.py`). `event.py` says what the order learns, and `merge.py` does at once all that follows: the sums and the status
(`money.py`), what a person must look at (`reviews.py`). `questions.py` is what is not known yet.

`schema.py` and `store.py` are the database. `metrics.py` and `take_stock.py` are for operators, and so is the command line:
`cli.py`, with `ask_now.py`, `archive_events.py` and `shared/doctor.py`. `app.py` puts the application together.

From the route to the document, `POST /api/orders` is eight files: `order_routes.py`, `place_order.py`; for what the document
holds `order.py` (facts), `outbox.py` (the call), `shared/idempotency.py` (the key) and `views.py` (its answer);
`shared/documents/inserts.py`, `shared/batches.py`.

A refund is nine, with key and answer made in the same way: `refund_routes.py`, `refund_order.py`; `money.py` (may it be
made), `outbox.py` and `merge.py` (what it adds to the order); `store.py`; `shared/documents/keys.py` (a key that another
order has), `shared/documents/changes.py`, `shared/batches.py`.
"""
