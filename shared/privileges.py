"""The privileges that a service needs in its database, each tried for real."""

from collections.abc import Mapping

from pymongo.errors import OperationFailure

from shared.mongo import BARRIERS, CONFLICTS, NAMESPACE_EXISTS, Database, Document, UnusableDatabaseError

_PLACE = BARRIERS  # both services have this collection, and it holds nothing that matters
_MARK = {"_id": "tried"}
_UNAUTHORIZED = 13
_ATLAS_ERROR = 8000  # a shared cluster of Atlas answers so to a missing privilege, and to other things

# By the name of the privilege. Each command finds what the ones before have made; the last takes away what `insert` has
# stored.
_COMMANDS: Mapping[str, Document] = {
    "listCollections": {"listCollections": 1, "filter": {"name": _PLACE}},
    "createCollection": {"create": _PLACE},
    "collMod": {"collMod": _PLACE},
    "createIndex": {"createIndexes": _PLACE, "indexes": [{"key": {"_id": 1}, "name": "_id_"}]},
    "insert": {"insert": _PLACE, "documents": [_MARK]},
    "update": {"update": _PLACE, "updates": [{"q": _MARK, "u": {"$set": {"tried": True}}}]},
    "find": {"find": _PLACE, "filter": _MARK},
    "remove": {"delete": _PLACE, "deletes": [{"q": _MARK, "limit": 1}]},
}
NEEDED = tuple(_COMMANDS)


async def missing_privileges(database: Database) -> list[str]:
    """The privileges of the role in docs/operations.md that the user lacks. It leaves only an empty collection behind, which
    the service makes anyway. Raises PyMongoError.
    """
    missing = []
    for privilege, command in _COMMANDS.items():
        try:
            await database.command(dict(command))
        except OperationFailure as error:
            if is_not_allowed(error):
                missing.append(privilege)
            elif error.code not in {NAMESPACE_EXISTS, *CONFLICTS}:
                raise
    return missing


def is_not_allowed(error: OperationFailure) -> bool:
    return error.code == _UNAUTHORIZED or (error.code == _ATLAS_ERROR and "not allowed" in str(error))


async def require_privileges(database: Database) -> None:
    """Raises UnusableDatabaseError, which names each missing privilege, and PyMongoError."""
    if missing := await missing_privileges(database):
        raise UnusableDatabaseError(
            f"in the database {database.name} this user may not {', '.join(missing)}: give it the role in "
            "docs/operations.md, The MongoDB user"
        )
