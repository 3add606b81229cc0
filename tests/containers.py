"""MongoDB from its official image, through testcontainers. Needs a Docker engine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from testcontainers.core.container import DockerContainer

IMAGE = "mongo:8.0"
# To drop a database waits for the next commit of the journal, by default up to 100 ms.
COMMAND = "--replSet rs0 --bind_ip_all --setParameter enableTestCommands=1 --journalCommitInterval 10"


@contextmanager
def mongodb_container() -> Iterator[str]:
    """The URI of a one-node replica set that is primary."""
    # Its data lies in memory: every commit would wait for the disk.
    database = DockerContainer(IMAGE).with_tmpfs_mount("/data/db").with_command(COMMAND).with_exposed_ports(27017)
    with database as container:
        uri = (
            f"mongodb://{container.get_container_host_ip()}:{container.get_exposed_port(27017)}/?directConnection=true"
        )
        deadline = time.monotonic() + 60
        while not _is_primary(uri):
            assert time.monotonic() < deadline, "no primary within a minute"
            time.sleep(0.2)
        yield uri


def _is_primary(uri: str) -> bool:
    # A client that saw the server before it was initiated refuses sessions, so each look is a new one.
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500, timeoutMS=2000) as client:
        try:
            hello = client.admin.command("hello")
            if "setName" not in hello:
                members = [{"_id": 0, "host": "127.0.0.1:27017"}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        except PyMongoError:
            return False
        return bool(hello["isWritablePrimary"])
