"""Code that both services need and neither owns. Only `edge/` knows the web framework.

- To write: `documents/` inserts documents and changes them by compare-and-set, without transactions; `batches.py` lets many
  callers share one command of MongoDB.
- To create something once: `idempotency.py` has the rules of an `Idempotency-Key`.
- To ask once for many callers: `kept.py` keeps the answer for a while.
- To share work among replicas: `leases.py` claims it and looks after it, `backoff.py` says when to try again.
- Between the services: `wire.py` has every struct that crosses, `signing.py` signs webhooks in two schemes and verifies one,
  `http_client.py` calls the other side.
- Values: `money.py`, `ids.py`, `times.py`. Lists over HTTP: `pages.py`.
- The database: `mongo.py`. A start goes through `await_database.py` and `privileges.py`. `mongo_facts.py` lists what safety
  rests on in MongoDB, and `doctor.py` tries it on request.
- Settings: `env.py`, and `address.py` for where a service listens.
- For operators: `telemetry.py` writes the logs, `metrics.py` counts, `tracing.py` and `otel.py` follow one
  request through both services.
"""

VERSION = "0.1.0"
