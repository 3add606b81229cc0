"""Whether a page shows what there is: the comparison that tests of pages rest on."""

from datetime import UTC, datetime

import pytest
from bson import Int64

from tests.pages import Shown, all_blocks, as_mongosh, find_one

ONE, OTHER = "ord_" + "1" * 32, "ord_" + "2" * 32
REAL, ANOTHER = "ord_" + "a" * 32, "ord_" + "b" * 32


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("{ status: 'Paid',\n  charges: [] }", "{status:'Paid',charges:[]}"),
        (f"{{ _id: '{ONE}' }}", f"{{_id:'{REAL}'}}"),
        (f"{ONE} {OTHER} {ONE}", f"{REAL} {ANOTHER} {REAL}"),
        ("at 2026-11-29T01:18:31.174Z", "at 2027-01-02T03:04:05.678Z"),
        ("{ a: 1, … c: 3 }", "{a:1,b:2,c:3}"),
        ("after 40 orders, 3.4 s later", "after 47 orders, 12.1 s later"),
    ],
)
def test_what_differs_from_run_to_run_may_differ(shown: str, real: str) -> None:
    Shown().compare(shown, real)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("{ status: 'Paid' }", "{status:'Pending'}"),
        ("{ status: 'Paid' }", "{status:'Paid',charges:[]}"),
        ("{ status: 'Paid', charges: [] }", "{status:'Paid'}"),
        ("{ attempts: 2 }", "{attempts:3}"),
        (f"{ONE} {ONE}", f"{REAL} {ANOTHER}"),
        (f"{{ _id: '{ONE}' }}", "{_id:'ch_" + "a" * 32 + "'}"),
        ("lost: 0, placed twice: 0", "lost: 1, placed twice: 0"),
        ("{ a: 1, … c: 3 }", "{a:1,b:2,c:4}"),
    ],
)
def test_what_is_shown_otherwise_is_found(shown: str, real: str) -> None:
    with pytest.raises(AssertionError):
        Shown().compare(shown, real)


def test_an_id_is_the_same_in_all_that_a_story_shows() -> None:
    shown = Shown()
    shown.compare(ONE, REAL)
    shown.compare(ONE, REAL)
    with pytest.raises(AssertionError):
        shown.compare(ONE, ANOTHER)


def test_a_document_is_written_as_mongosh_does() -> None:
    document = {
        "a": None,
        "b": [True, 2, "x"],
        "c": Int64(9999),
        "d": {"at": datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC)},
    }
    text = "{a:null,b:[true,2,'x'],c:Long('9999'),d:{at:ISODate('2026-11-29T01:02:03.000Z')}}"
    assert as_mongosh(document) == text


def test_a_line_for_mongosh_is_understood() -> None:
    line = "db.orders.findOne({order_number: 'A-1'}, {_id: 0, status: 1,\n  'calls.id': 1})\n"
    assert find_one(line) == ("orders", [{"order_number": "A-1"}, {"_id": 0, "status": 1, "calls.id": 1}])


def test_the_blocks_of_a_page_come_in_their_order() -> None:
    page = "text\n```sh\nrun\n```\n\n```\nprinted\n```\n```js\nfind\n```\n"
    assert all_blocks(page) == [("sh", "run\n"), ("", "printed\n"), ("js", "find\n")]
