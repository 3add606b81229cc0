"""The ways in which people sign a webhook: the right one of each scheme, and the usual mistakes. Pure."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal, NamedTuple

import msgspec

from shared.signing import SECRET_PREFIX, SecretError, check_secret

MISTAKES_MAX = 2  # at once; more would be a guess, and each one more is some ten times the work

_PRINTED = ((",", ":"), "without spaces"), ((", ", ": "), "with spaces after , and :")
_WAYS_TO_PRINT: Sequence[tuple[dict[str, Any], str]] = [
    *(
        (
            {"separators": separators, "sort_keys": is_sorted, "ensure_ascii": is_ascii},
            f"{told}{', its members sorted' * is_sorted}{', escaping what is not ASCII' * is_ascii}",
        )
        for separators, told in _PRINTED
        for is_sorted, is_ascii in product((False, True), repeat=2)
    ),
    *(({"indent": width, "ensure_ascii": False}, f"with an indent of {width}") for width in (2, 4)),
]

Scheme = Literal["X-Signature", "Standard Webhooks"]
Wrong = Literal["bytes", "secret", "clock", "headers", "unknown"]


class Mistake(msgspec.Struct, frozen=True):
    """`wrong` names the wrong part. It is `unknown` if no usual mistake explains the signature."""

    wrong: Wrong
    explanation: str


class Claim(msgspec.Struct, frozen=True):
    """The claims in the headers of one scheme: the time of signing, in digits, and the signatures."""

    scheme: Scheme
    timestamp: str
    signatures: Sequence[str]
    message_id: str = ""


class Way(NamedTuple):
    """A way to sign: the HMAC-SHA-256 of `content` with `key`. It is right, or has these `mistakes`."""

    content: bytes
    key: bytes
    mistakes: Sequence[Mistake]


class _Choice(NamedTuple):
    """A part that may have been used, and the mistake in using it; None for the right part."""

    part: bytes
    mistake: Mistake | None = None


def ways_to_sign(claim: Claim, body: bytes, secret: str, others: Mapping[str, str]) -> Iterator[Way]:
    """All ways with at most MISTAKES_MAX mistakes, the fewest first. Then the right way with each of `others`, which are
    secrets with words that say whose each is.
    """
    parts = _keys(claim.scheme, secret), _heads(claim), _bodies(body)
    likely = [choices for choices in product(*parts) if _count(choices) <= MISTAKES_MAX]
    for key, head, part in sorted(likely, key=_count):
        yield _combined(key, head, part)
    head = _heads(claim)[0]
    for other, whose in others.items():
        stranger = Mistake("secret", f"It was signed with another secret: {whose}.")
        for key in _keys(claim.scheme, other):
            if key.mistake is None:
                yield _combined(key._replace(mistake=stranger), head, _Choice(body))


def _count(choices: Sequence[_Choice]) -> int:
    return sum(one.mistake is not None for one in choices)


def _combined(key: _Choice, head: _Choice, body: _Choice) -> Way:
    return Way(head.part + body.part, key.part, [one.mistake for one in (key, head, body) if one.mistake])


def _keys(scheme: Scheme, secret: str) -> list[_Choice]:
    """The keys to try. The right one is missing if Standard Webhooks cannot use the secret."""
    whole, bare = secret.strip(), secret.strip().removeprefix(SECRET_PREFIX)
    decoded = _decoded(whole)
    if scheme == "X-Signature":
        choices = [
            _Choice(secret.encode()),
            _Choice(bare.encode(), _secret("The key was the secret without whsec_. X-Signature wants all of it.")),
            _Choice(decoded, _secret("The key was the decoded secret. X-Signature wants its text, whsec_ included.")),
        ]
    else:
        choices = [
            *([_Choice(decoded)] if decoded and whole == secret else []),
            _Choice(
                whole.encode(), _secret("The key was the text of the secret. Decode the base64 after whsec_ instead.")
            ),
            _Choice(bare.encode(), _secret("The key was the base64 after whsec_ as text. It must be decoded first.")),
        ]
    if whole != secret:
        spaces = _secret("There are spaces or a line break around the secret.")
        choices.append(_Choice(decoded if scheme == "Standard Webhooks" else whole.encode(), spaces))
    return [choice for choice in choices if choice.part]


def _decoded(secret: str) -> bytes:
    """The decoded secret, or nothing if it is no webhook secret."""
    try:
        check_secret(secret)
    except SecretError:
        return b""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def _secret(explanation: str) -> Mistake:
    return Mistake("secret", explanation)


def _heads(claim: Claim) -> list[_Choice]:
    """The texts that may have been signed before the body, the right one first."""
    timestamp = claim.timestamp
    own = f"{claim.message_id}." if claim.scheme == "Standard Webhooks" else ""
    others = [
        (f"{own}{timestamp}000.", "clock", "What was signed has the time in milliseconds, and the header in seconds."),
        (
            f"{own}{timestamp[:-3]}.",
            "clock",
            "What was signed has the time in seconds, and the header in milliseconds.",
        ),
        ("", "headers", f"Only the body was signed. The scheme signs {_form(claim.scheme)}."),
    ]
    if own:
        others.append(
            (f"{timestamp}.", "headers", "It was signed as X-Signature is: the id and a dot must come first.")
        )
    right = _Choice(f"{own}{timestamp}.".encode())
    return [right, *(_Choice(head.encode(), Mistake(wrong, why)) for head, wrong, why in others)]  # type: ignore[arg-type]


def _form(scheme: Scheme) -> str:
    return "<t>.<body>" if scheme == "X-Signature" else "<webhook-id>.<webhook-timestamp>.<body>"


def _bodies(body: bytes) -> list[_Choice]:
    """The bodies that may have been signed, the right one first, without duplicates."""
    choices = {body: _Choice(body)}
    for other, explanation in _other_bodies(body.decode()):
        part = other.encode(errors="surrogatepass")  # JSON may escape half of a pair
        choices.setdefault(part, _Choice(part, Mistake("bytes", explanation)))
    return [*choices.values()]


def _other_bodies(text: str) -> Iterator[tuple[str, str]]:
    yield text.rstrip("\r\n"), "What was signed has no line break at its end; these bytes have."
    for end in ("\n", "\r\n"):
        yield text + end, "What was signed has a line break at its end, which these bytes lack."
    yield text.strip(), "What was signed has no spaces around it; these bytes have."
    yield text.replace("\r\n", "\n"), "What was signed has other line breaks: LF, not CRLF."
    yield text.removeprefix("\ufeff"), "These bytes begin with a byte order mark, which was not signed."
    try:
        value = json.loads(text)
        printed = [(json.dumps(value, **how), told) for how, told in _WAYS_TO_PRINT]
    except (ValueError, RecursionError):
        return
    if isinstance(value, str):
        yield value, "These bytes are the body as a JSON string, in quotes: what was signed is its content."
    for other, told in printed:
        yield (
            other,
            f"The same JSON was signed, {told}: it was parsed and printed again. Sign and verify the raw bytes.",
        )
