"""Why a mongod has not started, by what it wrote. The lines are its own, of version 6.0 unless they say otherwise."""

from pathlib import Path

import pytest

from tools.mongod import cause

DATA = Path("the-data")
IN_USE = (
    '{"s":"E","c":"CONTROL","id":20557,"msg":"DBException in initAndListen, terminating","attr":{"error":"DBPathInUse: '
    "Unable to lock the lock file: the-data/mongod.lock (Resource temporarily unavailable). Another mongod instance is "
    'already running on the the-data directory"}}'
)
NEWER_FILES = (
    '{"s":"E","c":"WT","id":22435,"msg":"WiredTiger error message","attr":{"error":13,"message":{"msg":"'
    "__ckpt_version_chk:1387:file:WiredTiger.wt is an unsupported WiredTiger source file version 99.1; this WiredTiger "
    'build only supports versions from 1.1 to 1.1","error_str":"Permission denied","error_code":13}}}'
)
NEWER_DOCUMENT = (
    '{"s":"F","c":"CONTROL","id":20573,"msg":"Wrong mongod version","attr":{"error":"UPGRADE PROBLEM: Found an invalid '
    "featureCompatibilityVersion document (ERROR: Location4926900: Invalid feature compatibility version value, expected "
    "'5.0' or '5.3' or '6.0.\"}}"
)
FULL = (
    '{"s":"E","c":"WT","id":22435,"msg":"WiredTiger error message","attr":{"error":28,"message":{"msg":"'
    "__posix_file_write:582:the-data/journal/WiredTigerLog.0000000001: handle-write: pwrite: failed to write 128 bytes at "
    'offset 0","error_str":"No space left on device","error_code":28}}}'
)
NOT_OURS = (
    '{"s":"E","c":"CONTROL","id":20557,"msg":"DBException in initAndListen, terminating","attr":{"error":"IllegalOperation: '
    'Attempted to create a lock file on a read-only directory: the-data"}}'
)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (IN_USE, "another mongod uses the data in the-data. "),
        (NEWER_FILES, "the data in the-data was written by another version of MongoDB. "),
        (NEWER_DOCUMENT, "the data in the-data was written by another version of MongoDB. "),
        (FULL, "there is no space left on the disk of the-data"),
        (NOT_OURS, "mongod may not write in the-data. "),
    ],
    ids=["in use", "newer files", "newer document", "full", "not ours"],
)
def test_a_usual_cause_is_said_in_a_sentence(said: str, why: str) -> None:
    found = cause(f"{{}}\n{said}\n", DATA)
    assert found is not None
    assert found.startswith(why)


def test_another_cause_is_left_to_the_log() -> None:
    assert cause("error while loading shared libraries: libcurl.so.4: cannot open shared object file", DATA) is None
