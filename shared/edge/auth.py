"""API keys: `Authorization: Bearer <key>`, kept as SHA-256 digests, one or more for each merchant."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from shared.edge.problems import ProblemError
from shared.edge.requests import header_values
from shared.edge.types import Request
from shared.env import Secret, SettingError

DEFAULT_MERCHANT = "default"

_HASHED = re.compile(r"(?P<merchant>[A-Za-z0-9_-]{1,64}):(?P<digest>[0-9a-f]{64})\Z")


class ApiKey(NamedTuple):
    merchant: str
    digest: bytes


def parse_keys(entries: Sequence[Secret], *, name: str, bare: bool = False) -> tuple[ApiKey, ...]:
    """Keys from settings: `merchant:<sha256 hex of the key>`. If `bare`, an entry may also be a key itself, for the merchant
    `default`. Raises SettingError, also if two merchants have the same key. It names the setting and not the key.
    """
    keys = []
    for entry in entries:
        if match := _HASHED.match(entry):
            keys.append(ApiKey(match["merchant"], bytes.fromhex(match["digest"])))
        elif bare and ":" not in entry:
            require_sendable(entry, name=name)
            keys.append(ApiKey(DEFAULT_MERCHANT, hashlib.sha256(entry.encode()).digest()))
        else:
            raise SettingError(f"{name}: an entry is not <merchant>:<sha256 hex of the key>")
    owners: dict[bytes, str] = {}
    for key in keys:
        owner = owners.setdefault(key.digest, key.merchant)
        if owner != key.merchant:
            raise SettingError(f"{name}: the merchants {owner} and {key.merchant} have the same key")
    return tuple(keys)


def require_sendable(key: str, *, name: str) -> None:
    """Raises SettingError, which names the setting and not the key, if no header can carry the key: it has a space, a line
    break or another character that is not visible ASCII.
    """
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingError(f"{name}: a key has a space, a line break or a character that is not visible ASCII")


def merchant_of(request: Request) -> str:
    """The merchant that was found when the request was admitted."""
    merchant: str = request.scope["merchant"]  # type: ignore[typeddict-item]
    return merchant


def authenticated_merchant(request: Request, keys: Sequence[ApiKey]) -> str:
    """The merchant whose key the request carries. Without `keys` it is `default`. Raises ProblemError `unauthenticated`."""
    if not keys:
        return DEFAULT_MERCHANT
    given = header_values(request, b"authorization")
    if len(given) != 1:
        raise ProblemError("unauthenticated")
    scheme, _, key = given[0].partition(" ")
    digest = hashlib.sha256(key.strip().encode()).digest()
    merchant = ""
    for candidate in keys:  # all are compared: the time taken does not tell which one matched
        if hmac.compare_digest(candidate.digest, digest):
            merchant = candidate.merchant
    if scheme.lower() != "bearer" or not merchant:
        raise ProblemError("unauthenticated")
    return merchant
