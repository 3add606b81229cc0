"""Charges and refunds, from the request that creates one to the event that says how it ended.

1. `routes.py` parses a request and calls a verb.
2. `create_charge.py` stores a charge, pending, with its idempotency key. `create_refund.py` does the same for a refund, and
   reserves its amount on the charge.
3. `settle.py` ends what is due, and stores its event and the deliveries of it.

`charge.py` and `refund.py` say what these things are and how they end; `announcement.py` makes the events about them.
`tell_early.py` is for the scenario in which a webhook arrives before the reply. `metrics.py` counts.
"""
