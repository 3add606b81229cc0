"""The mock payment provider. To read it in the order of a charge's life:

1. `routes.py` parses a request and calls a verb.
2. `create_charge.py` stores the charge, pending, with its idempotency key.
3. `settle_charges.py` ends it when it is due, and stores the event and its deliveries with it.
4. `deliver_webhooks.py` sends the event, signed, until the endpoint takes it; `send_webhook.py` is one POST,
   `record_attempts.py` keeps what came of it.

What goes wrong on demand is resolved by `scenario.py`, from a payment method, the request and rates (`faults.py`).
`misbehave.py` decides how the reply to each attempt goes wrong and `replies.py` gives it; `delivery.py` makes deliveries
late, twice or not at all; `forge.py` signs what no receiver may accept. `clock.py` is the provider's time, `stored_clock.py`
shares it between replicas, `advance_clock.py` moves it.

`create_refund.py` is the way back. Merchants say where to deliver through `endpoint_routes.py`: `create_endpoint.py`,
`change_endpoint.py`, `rotate_secret.py`, and `resend_events.py` for what was missed. The rules are in the nouns, which do no
I/O: `charge.py`, `refund.py`, `event.py`, `endpoint.py`, `delivery.py`, `shares.py` (who may send how much at once) and
`destination.py` (where to). `schema.py` and `store.py` are the database, `metrics.py` and `take_stock.py` are what an
operator sees, `app.py` puts it all together and `serve.py` runs it.

`cli/` is the command line: a client of a gateway over HTTP, as any other.
"""
