"""Names for the types of Litestar, which have parameters that no code here uses."""

from typing import Any, TypeAlias

import litestar
from litestar.connection import ASGIConnection

Request: TypeAlias = litestar.Request[Any, Any, Any]
Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
