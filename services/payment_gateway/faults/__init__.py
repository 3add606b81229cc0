"""What goes wrong on demand, as real providers do.

A fault is asked for in one of three ways: by payment method (`payment_method.py`), by the request's `scenario`, or by rates
for everything (`rates.py`, which `stored_faults.py` shares between replicas). `scenario.py` makes one scenario of the three,
and it is stored with the charge or refund that it is about. `misbehave.py` decides how the reply to each attempt goes wrong
and `replies.py` answers so; `forge.py` signs webhooks that no receiver may accept.
"""
