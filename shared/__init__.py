"""Code that both services need and neither owns. Only `edge/` knows the web framework.

- To create something once: `idempotency.py` has the rules of an `Idempotency-Key`, `create_once.py` applies them to a POST.
- To write fast: `group_commit.py` lets many callers share one transaction.
- To share work among replicas: `leases.py` claims it with a lease and a fence, `backoff.py` says when to try again.
- Between the services: `wire.py` has every struct that crosses, `signing.py` signs and verifies webhooks in two schemes,
  `http_client.py` calls the other side.
- Values: `money.py`, `ids.py`, `times.py`, `text.py`. Lists over HTTP: `pages.py`.
- The database: `mongo.py`. Settings: `env.py`, and `address.py` for where a service listens.
- For operators: `telemetry.py` writes the logs, `metrics.py` counts, `trace.py`, `tracing.py` and `otel.py` follow one
  request through both services.
"""

VERSION = "0.1.0"
