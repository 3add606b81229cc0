"""A failpoint that nobody has taken did not happen."""

from pathlib import Path

import pytest
from pymongo.errors import PyMongoError

from tools.chaos.cluster import Cluster
from tools.process import free_port
from tools.replica_set import ReplicaSet


def test_a_failpoint_that_no_member_takes_is_an_error_and_taking_it_back_is_none(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, seed=1)
    cluster.replica_set = ReplicaSet(tmp_path, ports=[free_port()])
    with pytest.raises(PyMongoError):
        cluster.set_failpoint({"times": 1}, {"failCommands": ["insert"], "closeConnection": True})
    cluster.clear_failpoint()
