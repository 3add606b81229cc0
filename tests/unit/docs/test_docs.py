"""The pages stay true: what they link to, name or promise is there."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import msgspec
import pytest

import order_api.cli
import order_api.settings
import payment_gateway.settings
import shared.doctor
import shared.edge.limits
from order_api.order import Status
from shared.edge.problems import KINDS
from shared.privileges import NEEDED
from tests.guarded_mongod import documented_actions
from tools.chaos.checker import INVARIANTS
from tools.tidy import our_files

ROOT = Path(__file__).parents[3]
FOLDERS = ("*.md", "docs/**/*.md", "services/*/*.md")
PAGES = sorted(path for folder in FOLDERS for path in ROOT.glob(folder) if path.name != "CODE_OF_CONDUCT.md")
SOURCES = [path for folder in ("services", "shared", "tools", "tests") for path in (ROOT / folder).rglob("*.py")]
ALERTS = ROOT / "ops" / "alerts.yml"

OTHER_VARIABLES = {"WEBHOOK_SECRET", "BUILD_NETWORK", "DATA_DIR"}  # of compose.yaml, and of make run and make gateway
STANDARD_VARIABLES = ("OTEL_",)
EXTENSIONS = (".py", ".md", ".toml", ".yml", ".yaml", ".json", ".txt", ".ini")
MADE_BY_RUNNING = (".data/", ".venv/")
FORMATS = {"pylock.toml"}  # somebody else's file, spoken of as a format
README_LINES_MAX = 200
METRIC_MODULES = (
    "shared.metrics",
    "shared.edge.metrics",
    "order_api.metrics",
    "order_api.take_stock",
    "payment_gateway.money.settle",
    "payment_gateway.webhooks.deliver",
    "payment_gateway.take_stock",
)

_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_CONSTANT = re.compile(r"^ *([A-Z][A-Z0-9_]+)(?:: [^=]+)? = ", re.MULTILINE)
_TEST = re.compile(r"\btest_\w+\b(?!\.py)")
_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"\.?[\w-][\w.-]*(?:/[\w.-]+)*/?")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_MAKE = re.compile(r"(?:`|^)make (?:[A-Z_]+=\S+ )*([a-z][\w-]*)", re.MULTILINE)
_METRIC = re.compile(
    r"\b(?:http_requests?|database|batch|document_writes|leased_work|order_api|payment_gateway)_[a-z_]+"
    r"(?:total|seconds|bucket|count|state|messages|reviews|length|size|busy|slots|up|deliveries|orders|info)\b"
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Those of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(prose(path)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return frozenset(found)


def settings() -> Iterator[str]:
    for struct in (
        order_api.settings.Settings,
        payment_gateway.settings.Settings,
        shared.edge.limits.HttpLimits,
        shared.doctor.DoctorSettings,
    ):
        for field in msgspec.structs.fields(struct):
            yield field.encode_name
            yield f"{field.encode_name}_FILE"


@cache
def source_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)


def test_there_are_pages_to_look_at() -> None:
    names = {name_of(path) for path in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/operations.md", "docs/decisions/README.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = unquote(link).partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob(".env.example")], ids=name_of)
def test_every_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    known = {*settings(), *OTHER_VARIABLES, *_CONSTANT.findall(source_text())}
    named = set(_VARIABLE.findall(page.read_text(encoding="utf-8")))
    assert {name for name in named - known if not name.startswith(STANDARD_VARIABLES)} == set()


def paths_named(text: str) -> Iterator[str]:
    """What is back-quoted and looks like a path: it has a slash, or ends as files do."""
    for name in _QUOTED.findall(text):
        if _PATH.fullmatch(name) and ("/" in name or name.endswith(EXTENSIONS)):
            yield name.rstrip("/")


@cache
def paths_that_exist() -> frozenset[str]:
    """Every file and folder of the project, by its whole path and by each shorter end of it: `tools/tidy.py`, `tidy.py`."""
    found = set()
    for file in our_files():
        for path in [file, *file.parents][: len(file.relative_to(ROOT).parts)]:
            parts = path.relative_to(ROOT).parts
            found |= {"/".join(parts[start:]) for start in range(len(parts))}
    return frozenset(found)


def missing(names: Iterable[str]) -> set[str]:
    return {name for name in names if not f"{name}/".startswith(MADE_BY_RUNNING)} - paths_that_exist() - FORMATS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_and_test_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing(paths_named(prose(page))) == set()
    assert [test for test in _TEST.findall(text) if f"def {test}(" not in source_text()] == []


@pytest.mark.parametrize("tour", [path for path in SOURCES if path.name == "__init__.py"], ids=name_of)
def test_every_file_that_a_tour_of_the_code_names_is_there(tour: Path) -> None:
    """It may leave out its own folder."""
    named = set(paths_named(tour.read_text(encoding="utf-8")))
    assert {name for name in missing(named) if not (tour.parent / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_command_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(_MAKE.findall(page.read_text(encoding="utf-8"))) <= targets


def test_everything_in_the_code_that_contributing_names_is_there() -> None:
    quoted = _QUOTED.findall(prose(ROOT / "CONTRIBUTING.md"))
    names = {name for name in quoted if _IDENTIFIER.fullmatch(name) and not name.endswith(EXTENSIONS)}
    assert len(names) > 20, "the pattern above no longer finds them"
    text = source_text() + (ROOT / "compose.yaml").read_text() + (ROOT / "pyproject.toml").read_text()
    assert {name for name in names if not re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", text)} == set()


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(ROOT / "README.md"))}
    assert {name_of(page) for page in PAGES if page not in linked and "decisions/0" not in name_of(page)} == {
        "README.md"
    }


def test_the_index_of_decisions_lists_each_of_them_under_its_own_title() -> None:
    folder = ROOT / "docs" / "decisions"
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert [file for _, file, _ in rows] == sorted(path.name for path in folder.glob("[0-9]*.md"))
    for number, file, title in rows:
        assert (folder / file).read_text().startswith(f"# {number} {title}\n"), file


def test_every_review_that_the_code_raises_has_a_line_in_the_operations_page() -> None:
    raised = set(re.findall(r'code="([a-z-]+)"|event, "(event-[a-z]+)"|return "([a-z-]+)", f"', source_of("order_api")))
    codes = {code for pair in raised for code in pair if code}
    assert codes >= {"dead-letter", "second-charge", "event-mismatch"}, "the pattern above no longer finds them"
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert {code for code in codes if f"| `{code}` |" not in operations} == set()


def test_the_page_of_guarantees_lists_every_invariant_that_is_checked() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text()
    assert [int(number) for number in re.findall(r"^\| (\d+) \| \D", page, re.MULTILINE)] == sorted(INVARIANTS)


def source_of(package: str) -> str:
    return "\n".join(path.read_text() for path in (ROOT / "services" / package).glob("*.py"))


def test_problems_and_statuses_that_pages_name_exist() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert {slug for slug in re.findall(r"/problems/([a-z-]+)", text) if slug not in KINDS} == set()
    assert set(re.findall(r"status: '(\w+)'[,}]", text)) <= {*get_args(Status), "pending"}


def metrics_in_the_code() -> str:
    """The source of whatever declares metrics."""
    modules = [import_module(name) for name in METRIC_MODULES]
    return "\n".join(Path(str(module.__file__)).read_text() for module in modules)


def test_every_metric_that_the_operations_page_and_the_alerts_name_exists() -> None:
    declared = metrics_in_the_code()
    named = set(_METRIC.findall((ROOT / "docs" / "operations.md").read_text() + ALERTS.read_text()))
    assert len(named) > 20, "the pattern above no longer finds them"
    missing = {name for name in named if f'"{re.sub("_(bucket|count|sum)$", "", name)}"' not in declared}
    assert missing == set()


_WRITES = re.compile(
    r"\.(?:insert|update|replace|delete|bulkWrite|findOneAnd|findAndModify|remove|save|rename)\w*\(|\$(?:merge|out)\b"
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_has_anybody_write_to_mongodb(page: Path) -> None:
    """A write by hand would pass by the versions that the services compare, and by the times at which work is due."""
    assert _WRITES.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "db.orders.updateMany({}, [{$set: {reconcile_at: '$$NOW'}}])",
        "db.payment_events.deleteMany(final)",
        "db.orders.insertOne({})",
        "db.orders.findOneAndUpdate({}, {})",
        "db.payment_events.aggregate([{$merge: {into: 'archive'}}])",
    ],
)
def test_a_line_that_writes_to_mongodb_is_seen(line: str) -> None:
    assert _WRITES.search(line)


def test_every_command_of_order_api_that_a_page_names_is_there() -> None:
    named = {word for page in PAGES for word in re.findall(r"^order-api ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named == {"ask-now", "archive", "sweep", "doctor"} <= set(order_api.cli.order_api.commands)


def test_the_role_of_the_operations_page_has_every_privilege_that_a_start_tries_and_no_other() -> None:
    assert sorted(documented_actions()) == sorted(NEEDED)


def test_every_alert_leads_to_its_section_of_the_operations_page() -> None:
    links = re.findall(r"docs/operations\.md#([\w-]+)", ALERTS.read_text())
    assert len(links) == ALERTS.read_text().count("- alert:")
    assert set(links) <= anchors(ROOT / "docs" / "operations.md")
