"""Reading a page of a list without taking in more than can be shown."""

import asyncio
from typing import TypeAlias

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor

from shared.batches import answered_within
from shared.mongo import Collection, Document

PAGE_BYTES_MAX = 1024 * 1024  # of documents in one page, unless the first alone is larger
READ_AT_ONCE = 8  # pages, in one process; for each MongoDB sends up to 101 documents or 16 MB

RawCursor: TypeAlias = AsyncCursor[RawBSONDocument] | AsyncCommandCursor[RawBSONDocument]
_DECODING: CodecOptions[Document] = CodecOptions(tz_aware=True)


def unread(collection: Collection) -> AsyncCollection[RawBSONDocument]:
    """The collection, whose documents stay as they are sent until somebody reads them: so it shows how large they are."""
    return collection.with_options(codec_options=CodecOptions(document_class=RawBSONDocument, tz_aware=True))


class PageReader:
    """For all lists of a process: what 1,000 clients ask for at once must fit into its memory."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(READ_AT_ONCE)

    async def __call__(self, found: RawCursor, limit: int) -> tuple[list[Document], bool]:
        """The first documents of `found`, which is of an `unread` collection: at most `limit`, and PAGE_BYTES_MAX bytes of
        them. And whether there are more. Raises PyMongoError, UnavailableError.
        """
        documents: list[Document] = []
        size = 0
        async with answered_within(), self._places, found:
            async for document in found:
                size += len(document.raw)
                if len(documents) == limit or (documents and size > PAGE_BYTES_MAX):
                    return documents, True
                documents.append(bson.decode(document.raw, _DECODING))
        return documents, False
