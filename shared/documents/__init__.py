"""Documents that change by compare-and-set: one write of one document at a time, many documents in one call.

`Documents.insert` stores a document. `Documents.change` reads one, asks a pure function for its next version, and writes it
if nobody else has changed the document since; otherwise it reads and decides again. There is no transaction: a crash leaves
a document as it was before a write or as it is after it. The rules C3 to C9 are kept here.

To read it: `inserts.py`, `changes.py` and `reads.py` each show what one batch does; `documents.py` puts them together.
`paths.py` finds the smallest update between two documents, `replies.py` says what an error of MongoDB leaves certain, and
`keys.py` looks up the Idempotency-Keys that documents carry, and takes them off. `validator.py` makes the validator of a
collection from its struct. `../batches.py` gathers the callers.
"""

from shared.documents.changes import Changes, Decide, Verdict
from shared.documents.documents import Documents
from shared.documents.inserts import Inserts
from shared.documents.replies import InvalidError, TakenError

__all__ = ["Changes", "Decide", "Documents", "Inserts", "InvalidError", "TakenError", "Verdict"]
