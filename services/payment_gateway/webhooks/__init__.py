"""Events on their way to merchants.

1. Merchants say where to deliver: `endpoint_routes.py`, `create_endpoint.py`, `change_endpoint.py`, `rotate_secret.py`.
2. `deliver.py` takes the deliveries that are due and sends each, signed; `send.py` is one POST, to no address that the
   operator forbids (`destination.py`), and `record_attempts.py` stores what came of it.
3. `event_routes.py` shows events and deliveries; `resend.py` sends again what was missed.

The rules: `event.py` (what happened), `endpoint.py` (where to), `delivery.py` (one event for one endpoint, and when it is
tried next) and `shares.py` (how many requests each endpoint may have at once). `views.py` is how all of this is shown,
`stored_endpoints.py` reads endpoints for the verbs, `metrics.py` counts.
"""
