"""A receiver to run beside the gateway: a line of JSON for each webhook, with what both official libraries say of it.

`WEBHOOK_SECRET=whsec_… python receiver.py 9000`
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import standardwebhooks
import stripe

SECRET = os.environ["WEBHOOK_SECRET"]
REFUSALS = (
    stripe.SignatureVerificationError,
    standardwebhooks.WebhookVerificationError,
    LookupError,
    ValueError,
    TypeError,
)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body, headers = self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers)
        verdict = "accepted"
        try:
            stripe.WebhookSignature.verify_header(body.decode(), headers["X-Signature"], SECRET, tolerance=300)
            standardwebhooks.Webhook(SECRET).verify(body, headers)
        except REFUSALS as error:
            verdict = f"refused: {error}"
        shown = {"id": headers.get("webhook-id"), "verdict": verdict, "headers": headers, "body": body.decode()}
        sys.stdout.write(json.dumps({"path": self.path, **shown}) + "\n")
        sys.stdout.flush()  # before the answer: what the gateway knows to be received is shown
        self.send_response(200 if verdict == "accepted" else 401)
        self.end_headers()


ThreadingHTTPServer.request_queue_size = 128  # the gateway may come with 64 at once
if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
