"""`X-Signature`: each part of it missing, wrong or doubled. Every refusal has one body, which tells a forger nothing.

Only order_api takes webhooks.
"""

import gzip
import json
from collections.abc import Callable

from tests.hostile.requests import Case, Requests
from tests.hostile.webhooks import CURRENT, PREVIOUS, event, signature, webhook

RETIRED = "whsec_" + "cmV0aXJlZC" * 4
FORGED = (401, "invalid-signature")
UNIFORM = "Sign the raw body with the shared secret and a current timestamp, and send it as X-Signature."
ARABIC = str.maketrans("0123456789", "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669")

# What is sent is what is made of the parts `t=…` and `v1=…` of a good signature: one header, or several.
Made = Callable[[str, str], str | list[str]]
_HEADERS: list[tuple[str, Made, int]] = [
    ("both parts", lambda t, v1: f"{t},{v1}", 200),
    ("them the other way round", lambda t, v1: f"{v1},{t}", 200),
    ("a scheme that nobody knows as well", lambda t, v1: f"{t},v0=abc,{v1},v2=x", 200),
    ("a wrong signature before the right one", lambda t, v1: f"{t},v1={'0' * 64},{v1}", 200),
    ("eight signatures, the last one right", lambda t, v1: ",".join([t, *[f"v1={'0' * 64}"] * 7, v1]), 200),
    ("no header", lambda t, v1: [], 401),
    ("an empty header", lambda t, v1: "", 401),
    ("two headers", lambda t, v1: [f"{t},{v1}", f"{t},{v1}"], 401),
    ("one header for each part", lambda t, v1: [t, v1], 401),
    ("no timestamp", lambda t, v1: v1, 401),
    ("no signature", lambda t, v1: t, 401),
    ("two timestamps", lambda t, v1: f"{t},{t},{v1}", 401),
    ("two timestamps, one of them old", lambda t, v1: f"t=1,{t},{v1}", 401),
    ("an empty timestamp", lambda t, v1: f"t=,{v1}", 401),
    ("an empty signature", lambda t, v1: f"{t},v1=", 401),
    ("a timestamp in capitals", lambda t, v1: f"{t.replace('t', 'T')},{v1}", 401),
    ("a scheme in capitals", lambda t, v1: f"{t},{v1.replace('v1', 'V1')}", 401),
    ("an older scheme only", lambda t, v1: f"{t},{v1.replace('v1', 'v0')}", 401),
    ("a newer scheme only", lambda t, v1: f"{t},{v1.replace('v1', 'v2')}", 401),
    ("a name only", lambda t, v1: f"{t},v1", 401),
    ("no names", lambda t, v1: f"{t[2:]},{v1[3:]}", 401),
    ("a semicolon between them", lambda t, v1: f"{t};{v1}", 401),
    ("a space between them", lambda t, v1: f"{t}, {v1}", 401),  # Stripe's verifier takes no space either
    ("quotes around it", lambda t, v1: f'"{t},{v1}"', 401),
    ("a timestamp in milliseconds", lambda t, v1: f"{t}000,{v1}", 401),
    ("a timestamp with a fraction", lambda t, v1: f"{t}.0,{v1}", 401),
    ("a timestamp with a plus", lambda t, v1: f"t=+{t[2:]},{v1}", 401),
    ("a timestamp with a minus", lambda t, v1: f"t=-{t[2:]},{v1}", 401),
    ("a timestamp with a space", lambda t, v1: f"t= {t[2:]},{v1}", 401),
    ("a timestamp with a zero before it", lambda t, v1: f"t=0{t[2:]},{v1}", 401),
    ("a timestamp with an underscore", lambda t, v1: f"t={t[2:3]}_{t[3:]},{v1}", 401),
    ("a timestamp with an exponent", lambda t, v1: f"t=1e9,{v1}", 401),
    ("a timestamp in hexadecimal", lambda t, v1: f"t=0x{int(t[2:]):x},{v1}", 401),
    ("a timestamp of NaN", lambda t, v1: f"t=nan,{v1}", 401),
    ("a timestamp in another script", lambda t, v1: f"t={t[2:].translate(ARABIC)},{v1}", 401),
    ("a timestamp of 3,000 digits", lambda t, v1: f"t={'9' * 3_000},{v1}", 401),
    ("the timestamp of another signature", lambda t, v1: f"t={int(t[2:]) - 1},{v1}", 401),
    ("a signature in capitals", lambda t, v1: f"{t},v1={v1[3:].upper()}", 401),
    ("a signature cut short", lambda t, v1: f"{t},{v1[:-1]}", 401),
    ("a signature and a bit more", lambda t, v1: f"{t},{v1}0", 401),
    ("a signature with one digit changed", lambda t, v1: f"{t},{v1[:-1]}{'0' if v1[-1] != '0' else '1'}", 401),
    ("a signature that is not hexadecimal", lambda t, v1: f"{t},v1={'z' * 64}", 401),
    ("a signature that is not ASCII", lambda t, v1: f"{t},v1=é", 401),
    ("full-width digits in a signature", lambda t, v1: t + ",v1=" + "\uff11" * 64, 401),
    ("nine signatures, the right one among them", lambda t, v1: ",".join([t, *[f"v1={'0' * 64}"] * 8, v1]), 401),
    ("400 signatures", lambda t, v1: ",".join([t, *[v1] * 400]), 401),
    ("10,000 commas", lambda t, v1: f"{t},{v1}" + "," * 10_000, 401),
]  # fmt: skip
HEADERS = [Case(name, make, status, "invalid-signature" if status == 401 else "") for name, make, status in _HEADERS]

# What is sent is the secret, and how many seconds ago it was signed.
SIGNED = [
    Case("now, with the current secret", (CURRENT, 0), 200),
    Case("with the one before it, which still counts", (PREVIOUS, 0), 200),
    Case("with one that was retired", (RETIRED, 0), *FORGED),
    Case("with nothing", ("", 0), *FORGED),
    Case("with the secret without its prefix", (CURRENT.removeprefix("whsec_"), 0), *FORGED),
    Case("295 seconds ago", (CURRENT, 295), 200),
    Case("299 seconds from now", (CURRENT, -299), 200),
    Case("301 seconds ago", (CURRENT, 301), *FORGED),
    Case("310 seconds from now", (CURRENT, -310), *FORGED),
    Case("a year ago", (CURRENT, 365 * 86400), *FORGED),
    Case("a year from now", (CURRENT, -365 * 86400), *FORGED),
]

TAMPERED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("serialised anew without spaces", lambda body: json.dumps(json.loads(body), separators=(",", ":")).encode()),
    ("serialised anew with its keys sorted", lambda body: json.dumps(json.loads(body), sort_keys=True).encode()),
    ("serialised anew with indents", lambda body: json.dumps(json.loads(body), indent=2).encode()),
    ("with a line break at the end", lambda body: body + b"\n"),
    ("with a byte order mark", lambda body: b"\xef\xbb\xbf" + body),
    ("without its last byte", lambda body: body[:-1]),
    ("with another id", lambda body: body.replace(b"evt_", b"evt-")),
    ("compressed", gzip.compress),
    ("empty", lambda body: b""),
]


def made(make: Made, target: Requests) -> bytes:
    body = event()
    given = make(*signature(body))
    return webhook(target, body, [value.encode() for value in ([given] if isinstance(given, str) else given)])


def signed(case: Case, target: Requests) -> bytes:
    body = event()
    secret, age_seconds = case.sent
    return webhook(target, body, [",".join(signature(body, secret, age_seconds)).encode()])
