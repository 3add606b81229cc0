"""What a container may do and what it holds, as seen from inside."""

import json
import re
import socket
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.compose.conftest import CONTAINERS, ROOT, SERVICES, ComposeStack

pytestmark = pytest.mark.timeout(1200)  # the first test also pulls and builds

WHAT_IT_HOLDS = """
import importlib.metadata, json, os, shutil
print(json.dumps({
    "packages": [package.name for package in importlib.metadata.distributions()],
    "app": os.listdir("/app"),
    "tools": [tool for tool in ("pip", "gcc", "cc", "make", "git", "mongod") if shutil.which(tool)],
}))
"""
IN_THE_IMAGE = {"sys_platform": "linux", "python_version": "3.13", "python_full_version": "3.13.0"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_is_not_root_and_can_gain_no_capability(stack: ComposeStack, container: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in stack.run("exec", "-T", container, "cat", "/proc/self/status").splitlines()
        if ":\t" in line
    )
    assert "0" not in status["Uid"].split()
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_cannot_write_its_root_file_system(stack: ComposeStack, container: str) -> None:
    assert "Read-only file system" in stack.complaint("exec", "-T", container, "touch", "/written")


def test_only_the_two_services_are_published_and_only_on_127_0_0_1(stack: ComposeStack) -> None:
    bindings = {
        port: [host["HostIp"] for host in hosts]
        for container in CONTAINERS
        for port, hosts in stack.inspect(container)["NetworkSettings"]["Ports"].items()
        if hosts
    }
    assert bindings == {"8000/tcp": ["127.0.0.1"], "8001/tcp": ["127.0.0.1"]}


@pytest.mark.parametrize("url", ["order_api", "payment_gateway"])
def test_nobody_answers_on_another_address(stack: ComposeStack, url: str) -> None:
    port = int(getattr(stack, url).rpartition(":")[2])
    with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.2", port), timeout=2):
        pass


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_service_and_the_locked_packages_and_nothing_else(stack: ComposeStack, service: str) -> None:
    holds = json.loads(stack.run("exec", "-T", service, "python", "-c", WHAT_IT_HOLDS))
    assert {canonicalize_name(name) for name in holds["packages"]} == locked(ROOT / "requirements" / "runtime.txt")
    assert sorted(holds["app"]) == sorted(["shared", service.replace("-", "_")])
    assert holds["tools"] == []


def locked(requirements: Path) -> set[str]:
    lines = re.findall(r"^([^\s#].*?) \\$", requirements.read_text(), re.MULTILINE)
    required = [Requirement(line) for line in lines]
    return {
        canonicalize_name(each.name) for each in required if each.marker is None or each.marker.evaluate(IN_THE_IMAGE)
    }
