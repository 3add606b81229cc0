import tomllib
from pathlib import Path

from shared import VERSION


def test_the_version_that_a_service_tells_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
