"""Charges and refunds, from the request that creates one to the event that says how it ended.

1. `routes.py` parses a request and calls a verb.
2. `create.py` stores a charge, pending, with its idempotency key, or adds a refund to its charge.
3. `settle.py` ends what is due and marks it; then it has the marks announced (`webhooks/announce.py`).
4. `show.py` reads for a client, and announces before it shows anything as ended.

A charge is one document, with its refunds, its keys and its marks. `charge.py` decides all that happens to it,
`announcement.py` makes the marks, and `stored_charges.py` writes charges for the verbs. `tell_early.py` is for the scenario
in which a webhook arrives before the reply.
"""
