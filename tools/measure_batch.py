"""How fast a batch is: against a shell loop of ``splatmem flyaround``, and how much of its time goes into loading models.

python tools/measure_batch.py --films 8 --out out/batch_speed

Both make the same films of one photo with different seeds, first one, then the other. Seconds are wall-clock and those
of processors (of all processes): on a busy machine the latter are the ones to trust.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from splatmem import assets


@dataclass(frozen=True)
class Spent:
    """Seconds of a series: on the clock, and of processors."""

    wall: float
    cpu: float


def measured(commands: list[list[str]]) -> Spent:
    """Runs commands one after the other."""
    clock, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Spent(time.perf_counter() - clock, cpu)


def main(
    out: Path,
    films: int = 8,
    frames: int = 12,
    size: str = "96x64",
    workers: int = 2,
    threads: int | None = None,
    photo: Path | None = None,
) -> None:
    """Args:
    out: a new folder for the films and figures.json.
    films: how many.
    frames, size, photo: of each; the photo that comes with the package if not given.
    workers, threads: of the batch.
    """
    out.mkdir(parents=True)
    photo = photo or assets.path("photos/interior_table.jpg")
    splatmem = [sys.executable, "-m", "splatmem"]
    common = [str(photo.resolve()), "--frames", str(frames), "--size", size]
    alone = [[*splatmem, "flyaround", *common, "--seed", str(n), "--out", str(out / "loop" / str(n))] for n in range(films)]
    loop = measured(alone)
    manifest = out / "films.csv"
    rows = [f"{n},{photo.resolve()},{frames},{size},{n}" for n in range(films)]
    manifest.write_text("\n".join(["id,source,frames,size,seed", *rows]) + "\n")
    how = ["--workers", str(workers), *([] if threads is None else ["--threads", str(threads)])]
    batch = measured([[*splatmem, "batch", str(manifest), "--out", str(out / "batch"), *how]])
    logs = [json.loads(line) for log in (out / "batch" / ".batch").glob("log-*.jsonl") for line in log.read_text().splitlines()]
    load, film = (sum(line[name] for line in logs) for name in ("load_seconds", "seconds"))
    videos = [[(out / kind / str(n) / "video.mp4").read_bytes() for n in range(films)] for kind in ("loop", "batch")]
    per_film = (film - load) / films
    figures = {
        "films": films, "frames": frames, "size": size, "workers": workers,
        "loop_wall_seconds": loop.wall, "loop_cpu_seconds": loop.cpu,
        "batch_wall_seconds": batch.wall, "batch_cpu_seconds": batch.cpu,
        "speedup_wall": loop.wall / batch.wall, "speedup_cpu": loop.cpu / batch.cpu,
        "load_share": load / film, "load_share_of_100_films": load / (load + 100 * per_film),
        "films_per_hour": 3600 * films / batch.wall, "same_bytes": sum(a == b for a, b in zip(*videos, strict=True)),
    }  # fmt: skip
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    tyro.cli(main)
