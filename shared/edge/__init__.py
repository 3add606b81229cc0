"""The HTTP edge of both services, and the only part of `shared` that knows Litestar and uvicorn.

A request passes these files in this order:

1. `server.py` runs uvicorn, and stops it in good order. About once a second it looks at all connections.
2. `protocol.py` is one connection. It parses requests with uvicorn, and ends connections that break a rule.
3. `limits.py` has the numbers: how many bytes, how many seconds, how many at once. Three files apply them to a connection:
   `arrival.py` to a request as it comes in, `head.py` to its first lines, `unread.py` to answers that clients do not read.
4. `refusals.py` has the plain answers to clients that break a rule before there is a request to route.
5. `application.py` builds the application of a service around its routes. All files that follow are wired together there.
6. `exchange.py` wraps the application. A request gets an id, a trace, a log line and its metrics (`metrics.py`); an answer
   gets its security headers.
7. `admit.py` decides whether a request is served: is its key known, does its merchant send too fast, is the process busy.
   `auth.py` finds the merchant by the key.
8. `requests.py` reads the body, the headers and the query strictly, and `values.py` checks single values in them.
   `media_types.py` reads Accept and Content-Type.
9. Then the handler runs: one of the service's own routes, or one that every service has. `health.py` says whether the
   service can serve. `api_page.py` shows the API to people. `console.py` serves the page at `/`, `stream.py` tells that page
   what has changed, and `recent.py` keeps the latest requests for it.
10. `responses.py` sends answers whose bytes are made already, and `lists.py` makes a page of a list.
11. `problems.py` turns every error into a problem document.
"""
