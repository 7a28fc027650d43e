"""A batch on a Ray cluster of several nodes, all on this machine, with films that take no time."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import splatmem
from splatmem.batch import run
from test_batch import Heard, begun, made, manifest_of, states

from stub_films import StubMaker, tree

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # to start three nodes takes longer than their films
FOLDERS = (Path(__file__).parent, Path(__file__).parents[1], Path(splatmem.__file__).parents[1])
FILMS = 24


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one core; the driver is connected to them."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([*map(str, FOLDERS), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
        for _ in range(2):
            nodes.add_node(num_cpus=1, object_store_memory=10**8)
        ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


class Killer(Heard):
    """Takes a node away when the first films have been made."""

    def __init__(self, cluster: Any, node: Any) -> None:
        super().__init__()
        self.cluster, self.node = cluster, node

    def __call__(self, stage: str, share: float) -> None:
        if share > 0.2 and self.node is not None:
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = None


def test_nodes_and_workers_die_and_every_good_film_is_made(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "film_maker", StubMaker)
    events = {f"film{number}": "" for number in range(FILMS)}
    events |= {"film3": "kill", "film5": "fail", "film7": "full", "film9": "always kill"}
    manifest, out = manifest_of(tmp_path / "in", events), tmp_path / "out"
    killer = Killer(cluster, min(cluster.worker_nodes, key=lambda node: node.node_id))
    summary = made(manifest, out, killer, address="auto", workers=None)
    failed = {"film5", "film7", "film9"}
    assert killer.node is None, "no node was taken away"
    assert states(summary) == {name: "failed" if name in failed else "made" for name in events}
    errors = {line["id"]: line["error"] for line in summary.lines if line["error"]}
    assert errors["film5"] == "this photo is broken"
    assert "died each time" in errors["film9"]
    times = Counter(begun(out))
    assert times["film9"] == 2
    assert times["film3"] == 2

    # The same bytes as on one machine, and nothing is made again.
    made(manifest, tmp_path / "alone", workers=1)
    whole = [name for name in events if name not in failed]
    assert {name: tree(out / name) for name in whole} == {name: tree(tmp_path / "alone" / name) for name in whole}
    again = made(manifest_of(tmp_path / "in", dict.fromkeys(whole[:3], "")), out, address="auto")
    assert set(states(again).values()) <= {"kept"}


DRIVER = """
import sys
from splatmem.batch import run
from splatmem.batch.options import BatchOptions
from stub_films import StubMaker
from test_batch import Heard
run.film_maker = StubMaker
run.batch(BatchOptions(manifest=sys.argv[1], out=sys.argv[2], address="auto"), Heard())
"""


def test_a_driver_that_was_killed_is_started_again(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was whole then is kept, what was begun goes on, and all is as one machine would have made it."""
    monkeypatch.setattr(run, "film_maker", StubMaker)
    events = {f"film{number}": "" for number in range(FILMS)} | {"film4": "wait"}
    manifest, out = manifest_of(tmp_path / "in", events), tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, str(manifest), str(out)]
    said = tmp_path / "driver.log"
    paths = os.pathsep.join([*map(str, FOLDERS), os.environ.get("PYTHONPATH", "")])
    with said.open("wb") as log:
        driver = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "RAY_ADDRESS": cluster.address, "PYTHONPATH": paths}
        )
    deadline = time.monotonic() + 240
    while len(list(out.glob("film*/report.json"))) < 3 or "film4" not in begun(out):
        assert driver.poll() is None, said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    driver.kill()
    driver.wait()
    whole = {file.parent.name for file in out.glob("film*/report.json")}
    assert len(whole) < FILMS
    summary = made(manifest, out, address="auto", workers=None)
    assert set(states(summary).values()) <= {"made", "kept"}
    times = Counter(begun(out))
    assert times["film4"] == 2
    assert {name: times[name] for name in whole} == dict.fromkeys(whole, 1)
    made(manifest, tmp_path / "alone", workers=1)
    assert {name: tree(out / name) for name in events} == {name: tree(tmp_path / "alone" / name) for name in events}
