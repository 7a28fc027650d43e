"""Compares the film of a scene that was made small with that of the scene itself.

    python tools/measure_small.py room small      # after splatmem compact room --out small

Prints PSNR of the small scene's film against the other's (mean and worst of every third frame) and the processor time that it
took of the other's; the seconds of a second lap, which is the whole film of the small scene drawn and encoded, and those of the
run that made the other; then for both Gaussians, bytes, PSNR of the photo, and the share of the first view with an opacity
of less than 0.99, as it is and from four times as near.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from splatmem.memory.film import film_memory
from splatmem.metrics import psnr
from splatmem.scene import Scene
from splatmem.scene.folders import session_folder
from splatmem.timing import StageClock

STEP = 3
FPS = 24.0
NEAR = 4
COVERED = 0.99


def measure(large: Path, small: Path) -> None:
    scenes = [Scene.open(folder, device="cpu") for folder in (large, small)]
    film = scenes[0].film_cameras
    if film is None:
        raise SystemExit(f"{large} has no film of its own")
    some = [film[index] for index in range(0, len(film), STEP)]
    frames, seconds = [], []
    for scene in scenes:
        scene.memory.film(some[0])  # what is done once is not counted
        started = time.process_time()
        frames.append([scene.memory.film(camera)[0] for camera in some])
        seconds.append(time.process_time() - started)
    values = [psnr(after, before) for before, after in zip(*frames, strict=True)]
    print(f"film: {sum(values) / len(values):.1f} dB, worst frame {min(values):.1f}; {seconds[1] / seconds[0]:.2f} of the time")
    first_lap = json.loads((large / "report.json").read_text(encoding="utf-8"))["seconds"]["total"]
    with tempfile.TemporaryDirectory() as place:
        started, processor = time.perf_counter(), time.process_time()
        film_memory(scenes[1].memory, film, Path(place) / "lap.mp4", FPS, StageClock(), lambda stage, share: None)
        second_lap, processor = time.perf_counter() - started, time.process_time() - processor
    print(f"second lap: {second_lap:.1f} s ({processor:.1f} s of one processor); the first: {first_lap:.1f} s")
    for folder, scene in zip((large, small), scenes, strict=True):
        memory = scene.memory
        camera = memory.views[0].camera
        near = camera.resized(NEAR * camera.width, NEAR * camera.height)
        bare = [100 * float((memory.coverage(view)[1] < COVERED).float().mean()) for view in (camera, near)]
        disk = sum(file.stat().st_size for file in session_folder(folder).iterdir())
        print(
            f"{folder}: {len(memory.gaussians):,} Gaussians, {memory.nbytes / 1e6:.1f} MB, {disk / 1e6:.1f} MB on disk; "
            f"photo {memory.photo_fidelity().psnr:.1f} dB; hardly covered {bare[0]:.2f} %, from near {bare[1]:.2f} %"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(Path(sys.argv[1]), Path(sys.argv[2]))
