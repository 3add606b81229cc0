"""Faults on demand, as real providers have them.

A merchant asks for a fault in one of three ways: by payment method (`payment_method.py`), by the request's `scenario`, or by
rates for everything (`rates.py`, which `stored_faults.py` shares between replicas). `scenario.py` makes one scenario of the
three, which is stored with its charge or refund. `misbehave.py` decides how the reply to each attempt goes wrong
and `replies.py` answers so; `forge.py` signs webhooks that no receiver may accept.
"""
