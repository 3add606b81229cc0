"""Charges, refunds and disputes, from the request that creates one to the event that says how it ended.

1. `routes.py` parses a request and calls a verb.
2. `create.py` stores a charge, pending, with its idempotency key, or adds a refund to its charge.
3. `settle.py` ends charges and refunds that are due, opens disputes that are due, and marks that; then the marks are
   announced (`webhooks/announce.py`).
4. `show.py` reads for a client, and announces before it shows anything as ended.
5. `dispute_charge.py` opens and closes disputes at once, for `/v1/test`.

A charge is one document, with its refunds, its disputes, its keys and its marks. `charge.py` and `dispute.py` say what they
are and how they end, `announcement.py` makes the marks, and `stored_charges.py` writes charges for the verbs.
`tell_early.py` is for the scenario in which a webhook arrives before the reply.
"""
