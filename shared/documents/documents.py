"""The documents of one collection: inserts and changes of them."""

from typing import Generic, TypeVar

import msgspec

from shared.batches import Limits
from shared.documents.changes import CHANGE_LIMITS, Changes
from shared.documents.inserts import INSERT_LIMITS, Explain, Inserts
from shared.mongo import Collection

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")


class Documents(Generic[T, R]):
    """The documents of one collection, each with `_id`, `version` and `writer`. See Inserts and Changes. Only tests set the
    limits, to reach them with few documents.
    """

    def __init__(
        self,
        collection: Collection,
        kind: type[T],
        *,
        explain: Explain[T, R] | None = None,
        insert_limits: Limits = INSERT_LIMITS,
        change_limits: Limits = CHANGE_LIMITS,
        ids_are_ours: bool = True,
    ) -> None:
        self.insert = Inserts[T, R](collection, explain=explain, limits=insert_limits, ids_are_ours=ids_are_ours)
        self.change = Changes[T](collection, kind, limits=change_limits)
        self.read = self.change.read
        self.writers = (self.insert, self.change)
