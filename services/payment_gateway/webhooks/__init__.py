"""Events on their way to merchants.

1. Merchants say where to deliver: `endpoint_routes.py`, `change_endpoints.py`. `expire_endpoints.py` deletes endpoints
   that were made for a limited time.
2. `announce.py` stores what has happened as an event, with a delivery for each endpoint that wants it.
3. `deliver.py` claims the deliveries that are due and sends each, signed. `send.py` sends one, but to no address that the
   operator forbids (`destination.py`): `target.py` reads the URL, `look_up.py` finds the address, `post.py` makes the POST
   and reads the answer, and `trust.py` says which certificates are trusted. `judge_endpoint.py` decides what the attempt
   means for the endpoint. `release_held.py` releases a delivery that waited for another.
4. `event_routes.py` shows events and deliveries, `list_events.py` finds events that were not delivered, and `resend.py`
   delivers missed ones again, most of them in the background.

The rules: `event.py` (what happened, and the mark until it is announced), `endpoint.py` (where to), `delivery.py` (one
event for one endpoint, and when it is tried next), `header.py` (headers that a merchant chooses) and `shares.py` (how many
requests each endpoint may have at once). `views.py` shows all of this, `stored_endpoints.py` reads and writes endpoints for
the verbs, and `passed_over.py` remembers documents that could not be worked on.
"""
