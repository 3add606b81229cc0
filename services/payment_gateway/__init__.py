"""The mock payment provider. To read it in the order of a charge's life:

1. `routes.py` parses a request and calls a verb.
2. `create_charge.py` stores the charge, pending, with its idempotency key.
3. `settle_charges.py` ends it when it is due, and stores the event and its deliveries with it.
4. `deliver_webhooks.py` sends the event, signed, until the endpoint takes it.

What goes wrong on demand is resolved by `scenario.py`, from a payment method, the request and rates (`faults.py`).
`misbehave.py` decides how the reply to each attempt goes wrong and `replies.py` gives it; `delivery.py` makes deliveries
late, twice or not at all; `forge.py` signs what no receiver may accept.

`create_refund.py` is the way back. The rules are in the nouns, which do no I/O: `charge.py`, `refund.py`, `event.py`,
`endpoint.py`, `delivery.py`. `schema.py` and `store.py` are the database, `metrics.py` and `take_stock.py` are what an
operator sees, `app.py` puts it all together.
"""
