"""A batch of real films on a Ray cluster of three nodes, all on this machine, on which everything goes wrong that may.

    python tools/kill_cluster.py --films 24 --out out/kills

One photo is broken, and one film needs more memory than its limit. When a quarter of the films is there, a node is taken away;
at half, a worker is killed by SIGKILL; at three quarters, the driver is, and the same command is given again. Then some films
are made by ``splatmem flyaround`` alone, and their bytes compared. Figures are printed, and written to OUT/figures.json.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import tyro
from ray.cluster_utils import Cluster
from splatmem import assets

SPLATMEM = [sys.executable, "-m", "splatmem"]
COMPARED = ("video.mp4", "scene.ply", "cameras.json")


def manifest_of(folder: Path, films: int, frames: int, size: str, large: str) -> Path:
    """The rows: films of one photo with different seeds, one of a file that is no photo, and one of a large size."""
    photo, broken = assets.path("photos/interior_table.jpg").resolve(), folder / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:2000])
    rows = [[f"film{n}", str(photo), frames, size, n] for n in range(films)]
    rows[films // 3][1] = str(broken)
    rows[2 * films // 3][3] = large
    file = folder / "films.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([["id", "source", "frames", "size", "seed"], *rows])
    return file


def whole(out: Path) -> set[str]:
    """The films that are there."""
    return {file.parent.name for file in out.glob("film*/report.json")}


def wait_for(out: Path, count: int, driver: subprocess.Popen[bytes]) -> None:
    """Until so many films are there.

    Raises:
        SystemExit: the batch ended before.
    """
    while len(whole(out)) < count:
        if driver.poll() is not None:
            raise SystemExit(f"the batch ended with status {driver.returncode} after {len(whole(out))} films")
        time.sleep(0.2)


def a_worker(driver: subprocess.Popen[bytes]) -> psutil.Process:
    """A process of the cluster that makes films."""
    while driver.poll() is None:
        for process in psutil.process_iter(["cmdline"]):
            if "MapWorker" in " ".join(process.info["cmdline"] or []):
                return process
        time.sleep(0.1)
    raise SystemExit("the batch ended before a worker was found")


def main(
    out: Path, films: int = 24, frames: int = 8, size: str = "96x64", large: str = "1920x1080", limit: float = 4.5
) -> None:
    """Args:
    out: a new folder.
    films: how many, the two that fail among them.
    frames, size: of each.
    large: size of the film that needs too much memory.
    limit: gigabytes of address space that a worker may take, of which Ray's own libraries and PyTorch's take several.
    """
    out.mkdir(parents=True)
    manifest, batch = manifest_of(out, films, frames, size, large), out / "batch"
    node = {"num_cpus": 1, "object_store_memory": 10**8, "memory": round(2e9 * limit)}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(2):
        cluster.add_node(**node)
    command = [*SPLATMEM, "batch", str(manifest), "--out", str(batch), "--address", "auto", "--memory-limit", str(limit)]
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    started, log = time.perf_counter(), (out / "driver.log").open("wb")

    def drive() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    driver = drive()
    wait_for(batch, films // 4, driver)
    cluster.remove_node(min(cluster.worker_nodes, key=lambda node: node.node_id), allow_graceful=False)
    wait_for(batch, films // 2, driver)
    a_worker(driver).send_signal(signal.SIGKILL)
    wait_for(batch, 3 * films // 4, driver)
    driver.kill()
    driver.wait()
    kept = whole(batch)
    status = drive().wait()
    seconds = time.perf_counter() - started
    cluster.shutdown()
    with (batch / "results.csv").open() as table:
        lines: list[dict[str, Any]] = list(csv.DictReader(table))
    alone = [f"film{n}" for n in (0, films // 2, films - 1)]
    for name in alone:
        seed = name.removeprefix("film")
        photo = str(assets.path("photos/interior_table.jpg").resolve())
        options = ["--frames", str(frames), "--size", size, "--seed", seed, "--out", str(out / "alone" / name), "--quiet"]
        subprocess.run([*SPLATMEM, "flyaround", photo, *options], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    pairs = [(name, file) for name in alone for file in COMPARED]
    figures = {
        "films": films, "seconds": round(seconds), "status": status, "states": Counter(line["state"] for line in lines),
        "whole_when_the_driver_was_killed": len(kept),
        "errors": {line["id"]: line["error"] for line in lines if line["error"]},
        "whole": len(whole(batch)), "lines": len(lines), "compared": alone,
        "same_bytes": all((batch / n / f).read_bytes() == (out / "alone" / n / f).read_bytes() for n, f in pairs),
    }  # fmt: skip
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    tyro.cli(main)
