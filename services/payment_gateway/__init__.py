"""The mock payment provider, in wings. Each has a tour of its own in its `__init__.py`.

- `money/` takes charges and refunds, settles them when they are due, disputes some, and stores the events that say so.
- `webhooks/` delivers these events, signed, until the merchant's endpoint takes them.
- `faults/` decides what goes wrong on demand.
- `clock/` is the provider's time, which tests may freeze and advance.
- `controls/` is what only a mock has: `/v1/test`.
- `cli/` is the command line: a client of a gateway over HTTP, as any other.

Around them, `routes.py` lists all routes, `reads.py` has what every GET needs, and `problems.py` maps refusals and errors to
problem documents. `schema.py` and `store.py` are the database, `claim.py` claims work under a lease, and `seen.py` keeps for
a moment what is read all the time. `settings.py` and `take_stock.py` (gauges for `/metrics`) are for operators. `app.py`
puts it all together and `serve.py` runs it.
"""
