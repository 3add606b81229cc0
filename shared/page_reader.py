"""Reading a page of a list without loading more than can be shown."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.batches import answered_within
from shared.mongo import Collection, Document

PAGE_BYTES_MAX = 1024 * 1024  # of documents in one page, unless the first alone is larger
READ_AT_ONCE = 8  # pages in one process: for each, MongoDB sends up to 102 documents or 16 MB
_DECODED: CodecOptions[Document] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_UNREAD: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, tz_aware=True)


class PageReader:
    """Reads all lists of a process, so that what 1,000 clients ask for at once fits into its memory."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(READ_AT_ONCE)

    async def __call__(
        self,
        collection: Collection,
        stages: Sequence[Mapping[str, Any]],
        limit: int,
        *,
        session: AsyncClientSession | None = None,
    ) -> tuple[list[Document], bool]:
        """Returns the first documents of an aggregation, at most `limit` and at most PAGE_BYTES_MAX bytes, and whether there
        are more. Raises PyMongoError, UnavailableError.
        """
        documents: list[Document] = []
        size = 0
        unread = collection.with_options(codec_options=_UNREAD)  # a document shows how large it is before it is decoded
        asked = [*stages, {"$limit": limit + 1}]
        batch = limit + 2  # one more than we ask for, so that the first batch already shows that there are no others
        async with (
            answered_within(),
            self._places,
            await unread.aggregate(asked, batchSize=batch, session=session) as found,
        ):
            async for document in found:
                size += len(document.raw)
                if len(documents) == limit or (documents and size > PAGE_BYTES_MAX):
                    return documents, True
                documents.append(bson.decode(document.raw, _DECODED))
        return documents, False
