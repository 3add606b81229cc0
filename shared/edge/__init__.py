"""The HTTP edge of both services, and the only part of `shared` that knows Litestar and uvicorn.

A request passes these files in this order:

1. `server.py` runs uvicorn; `protocol.py` bounds what a client may send and leave unread, and how slowly (`limits.py` has
   the numbers, `unread.py` the bound of all clients together).
2. `application.py` builds the application; the next files wrap it or plug into it.
3. `exchange.py` gives the request an id, a place in a trace, and one log line and its metrics (`metrics.py`) at its end. It
   answers HEAD and OPTIONS, and adds the security headers.
4. `admit.py` decides whether it is served: how many are at work, whose key it carries (`auth.py`), how fast that merchant
   sends.
5. `requests.py` reads body, headers and parameters strictly. Then the handler of the service runs.
6. `responses.py` sends bytes that are made already, and `lists.py` a page of a list; `problems.py` turns refusals and errors
   into problem documents.

`console.py` serves the page at `/`, `stream.py` tells it what has changed, and `recent.py` keeps the latest requests for it.
`health.py` says whether the service can serve. `api_page.py` shows the API, which `tools/openapi/` describes;
`media_types.py` reads Accept and Content-Type for it and for `requests.py`.
"""
