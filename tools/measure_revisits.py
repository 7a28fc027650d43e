"""Long memory of live walks: PSNR, SSIM and a learned distance of places seen again against their first visit.

python tools/measure_revisits.py PHOTO... --path arc --frames 20 --laps 3 --between extend --out out/revisits.json

The protocol stands in splatmem/evaluation/revisits.py. Frames of a walk: laps x (2 x frames - 2) + 1.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import splatmem as sm
import tyro
from splatmem.evaluation.features import PatchFeatures
from splatmem.evaluation.revisits import Change, Revisit, walk
from splatmem.jobs.option_types import parse_size


def change_of(kind: str, path: str, at: tuple[float, float] | None) -> list[Change]:
    """What is done between laps."""
    extend: Change = lambda scene: scene.extend(path, 24)  # noqa: E731 - one line each, side by side
    remove: Change = lambda scene: scene.remove(scene.select(at=at))  # noqa: E731
    return {"nothing": [], "extend": [extend], "remove": [remove], "both": [extend, remove]}[kind]


def summary(found: list[Revisit]) -> dict[str, Any]:
    """Means and worst values over the frames that show a place again."""
    names = ("psnr", "ssim", "feature_distance")
    values = {name: [getattr(one, name) for one in found] for name in names}
    worst = {"psnr": min, "ssim": min, "feature_distance": max}
    return {name: {"mean": sum(v) / len(v), "worst": worst[name](v)} for name, v in values.items()}


def main(
    photos: tyro.conf.Positional[tuple[Path, ...]],
    out: Path,
    path: str = "arc",
    frames: int = 20,
    laps: int = 3,
    size: str = "256x144",
    between: Literal["nothing", "extend", "remove", "both"] = "nothing",
    extend_path: str = "orbit",
    at: tuple[float, float] | None = None,
    seed: int = 0,
) -> None:
    """Args:
    photos: one scene each.
    out: a JSON file for the figures.
    path, frames: the way out.
    laps: how often out and back.
    size: of the frames.
    between: what is done to the scene after a lap, in turn.
    extend_path: along which the scene is extended then.
    at: a pixel of the thing that is taken away then.
    seed: of all that is made.
    """
    describe, films = PatchFeatures.pretrained(), {}
    for photo in photos:
        scene = sm.Scene.from_photo(photo, size=parse_size(size), seed=seed)
        way = sm.Trajectory.preset(path, scene, frames=frames).cameras
        found = walk(scene, way, laps, change_of(between, extend_path, at), describe)
        shown = laps * (2 * frames - 2) + 1
        films[str(photo)] = {"frames": shown, "revisits": len(found), **summary(found), "all": [asdict(one) for one in found]}
        print(photo, {key: value for key, value in films[str(photo)].items() if key != "all"}, flush=True)
    protocol = {"path": path, "way_out": frames, "laps": laps, "size": size, "between": between, "seed": seed}
    out.write_text(json.dumps({"protocol": protocol, "films": films}, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
