"""How fast a batch is: against a shell loop of ``splatmem flyaround``, and how much of its time goes into loading models.

python tools/measure_batch.py --films 100 --loop-films 12 --threads 1 --out out/batch_speed

Both make films of one photo with different seeds, first the loop, then the batch; the loop may make only the first of them,
since each of its films costs the same. Seconds are wall-clock and those of processors (of all processes): on a busy machine
the latter are the ones to trust. figures.json is written after each of the two; the same command takes a loop that was
measured from there, and begins a batch that was stopped anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from splatmem import assets


@dataclass(frozen=True)
class Spent:
    """Seconds of a series: on the clock, and of processors."""

    wall: float
    cpu: float


def measured(commands: list[list[str]], threads: int | None) -> Spent:
    """Runs commands one after the other, each with so many threads (those it takes by itself if None)."""
    environment = None if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    clock, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Spent(time.perf_counter() - clock, cpu)


def videos(folder: Path, films: int) -> list[bytes]:
    """The films' files."""
    return [(folder / str(n) / "video.mp4").read_bytes() for n in range(films)]


def megabytes(folder: Path) -> dict[str, float]:
    """Megabytes of a film's folder in all, and of each file or folder in it."""
    parts = {}
    for part in sorted(folder.iterdir()):
        files = [part] if part.is_file() else [file for file in part.rglob("*") if file.is_file()]
        parts[part.name] = sum(file.stat().st_size for file in files) / 1e6
    return {"in_all": sum(parts.values()), **parts}


def main(
    out: Path,
    films: int = 100,
    loop_films: int | None = None,
    frames: int = 12,
    size: str = "96x64",
    workers: int = 2,
    threads: int | None = None,
    photo: Path | None = None,
) -> None:
    """Args:
    out: a new folder for the films and figures.json.
    films: how many the batch makes.
    loop_films: how many of them the shell loop makes; all if not given.
    frames, size, photo: of each; the photo that comes with the package if not given.
    workers: of the batch.
    threads: of each film, in the loop and in the batch.
    """
    looped = films if loop_films is None else loop_films
    photo = photo or assets.path("photos/interior_table.jpg")
    splatmem = [sys.executable, "-m", "splatmem"]
    common = [str(photo.resolve()), "--frames", str(frames), "--size", size]
    file = out / "figures.json"
    figures: dict[str, Any] = {"loop_films": looped, "frames": frames, "size": size, "threads": threads}
    earlier = json.loads(file.read_text()) if file.exists() else figures
    if not figures.items() <= earlier.items():
        raise SystemExit(f"{file} was measured with other options: choose another folder")
    figures = earlier

    def write(**more: Any) -> None:
        figures.update(more)
        file.write_text(json.dumps(figures, indent=2) + "\n")

    if "loop_wall_seconds" not in figures:
        out.mkdir(parents=True)
        alone = [
            [*splatmem, "flyaround", *common, "--seed", str(n), "--out", str(out / "loop" / str(n))] for n in range(looped)
        ]
        spent = measured(alone, threads)
        write(loop_wall_seconds=spent.wall, loop_cpu_seconds=spent.cpu, loop_films_per_hour=3600 * looped / spent.wall)
    loop = Spent(figures["loop_wall_seconds"], figures["loop_cpu_seconds"])
    manifest = out / "films.csv"
    rows = [f"{n},{photo.resolve()},{frames},{size},{n}" for n in range(films)]
    manifest.write_text("\n".join(["id,source,frames,size,seed", *rows]) + "\n")
    shutil.rmtree(out / "batch", ignore_errors=True)
    how = ["--workers", str(workers), *([] if threads is None else ["--threads", str(threads)])]
    batch = measured([[*splatmem, "batch", str(manifest), "--out", str(out / "batch"), *how]], None)
    logs = [json.loads(line) for log in (out / "batch" / ".batch").glob("log-*.jsonl") for line in log.read_text().splitlines()]
    load, film = (sum(line[name] for line in logs) for name in ("load_seconds", "seconds"))
    same = sum(a == b for a, b in zip(videos(out / "loop", looped), videos(out / "batch", looped), strict=True))
    write(
        films=films, workers=workers, batch_wall_seconds=batch.wall, batch_cpu_seconds=batch.cpu,
        films_per_hour=3600 * films / batch.wall, speedup_wall=loop.wall / looped * films / batch.wall,
        speedup_cpu=loop.cpu / looped * films / batch.cpu, load_seconds=load, film_seconds=film - load,
        load_share=load / film, load_share_of_100_films=load / (load + 100 * (film - load) / films), same_bytes=same,
        megabytes_of_a_film=megabytes(out / "batch" / "0"),
    )  # fmt: skip
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    tyro.cli(main)
