"""Events on their way to merchants.

1. Merchants say where to deliver: `endpoint_routes.py`, `change_endpoints.py`. `expire_endpoints.py` deletes endpoints
   that were to last for a while only.
2. `announce.py` stores what has happened as an event, with a delivery for each endpoint that hears of it.
3. `deliver.py` takes the deliveries that are due and sends each, signed. `send.py` sends one, to no address that the
   operator forbids (`destination.py`): `target.py` reads the URL, `look_up.py` finds the address, `post.py` makes the POST
   and takes the answer as it comes, and `trust.py` says which certificates are trusted. `judge_endpoint.py` decides what
   came of it for the endpoint. `release_held.py` lets go what was to wait for another.
4. `event_routes.py` shows events and deliveries, `list_events.py` also finds those not delivered, and `resend.py` sends
   again what was missed, the rest of it in the background.

The rules: `event.py` (what happened, and what of it is still to be announced), `endpoint.py` (where to), `delivery.py` (one
event for one endpoint, and when it is tried next), `header.py` (headers that a merchant chooses) and `shares.py` (how many
requests each endpoint may have at once). `views.py` is how all of this is shown, `stored_endpoints.py` reads and writes
endpoints for the verbs, and `passed_over.py` remembers what cannot be worked on.
"""
