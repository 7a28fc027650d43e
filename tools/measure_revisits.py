"""Long memory of live walks: PSNR, SSIM and a learned distance of places seen again against their first visit.

    python tools/measure_revisits.py PHOTO... --paths arc turn --frames 101 --laps 3 --size 128x72 --out out/revisits.json

The protocol stands in splatmem/evaluation/revisits.py. Frames of a walk: laps x (2 x frames - 2) + 1. With several paths the
scenes take them in turn. After the first lap the scene is extended along another path, after the second a thing is taken away,
and so on (``--between``). Figures are written after each scene, and scenes that the file holds are not walked again. The film
along a path that is known beforehand is measured by every run itself (``retention_psnr``).
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import splatmem as sm
import tyro
from splatmem.evaluation.features import PatchFeatures
from splatmem.evaluation.revisits import Change, Extension, Revisit, ThingRemoval, walk
from splatmem.jobs.option_types import parse_size

CHANGES: dict[str, tuple[str, ...]] = {
    "nothing": (), "extend": ("extend",), "remove": ("remove",), "both": ("extend", "remove")
}  # fmt: skip
BAR = 40.0  # dB that a return is meant to keep
HEAD = """| scene | PSNR | pooled | worst | of 40 dB, % | known: PSNR | worst | of 40 dB, % | SSIM | feature distance |
|---|---|---|---|---|---|---|---|---|---|"""


def summary(found: list[Revisit]) -> dict[str, float]:
    """Figures over the frames that show a place again; ``psnr`` is the mean of their values, ``psnr_pooled`` that of their mean
    squared error, which the worst of them decide; ``known``: over what was known at the first visit."""
    psnr, known = [one.psnr for one in found], [one.known_psnr for one in found]
    distances = [one.feature_distance for one in found if not math.isnan(one.feature_distance)]
    return {
        "psnr": sum(psnr) / len(psnr),
        "psnr_pooled": -10 * math.log10(sum(10 ** (-value / 10) for value in psnr) / len(psnr)),
        "psnr_worst": min(psnr),
        "known_psnr": sum(known) / len(known),
        "known_psnr_worst": min(known),
        "share_above_bar": sum(value >= BAR for value in psnr) / len(psnr),
        "known_share_above_bar": sum(value >= BAR for value in known) / len(known),
        "ssim": sum(one.ssim for one in found) / len(found),
        "ssim_worst": min(one.ssim for one in found),
        "feature_distance": sum(distances) / max(1, len(distances)),
        "feature_distance_worst": max(distances, default=math.nan),
    }


def by_visit(found: list[Revisit]) -> dict[str, dict[str, float]]:
    """The same for the returns of each visit alone: the later, the more was done to the scene in between."""
    visits = sorted({one.visit for one in found})
    return {str(visit): summary([one for one in found if one.visit == visit]) for visit in visits}


def row(name: str, found: list[Revisit]) -> str:
    """A line of the table."""
    s = summary(found)
    cells = (
        f"{s['psnr']:.1f}", f"{s['psnr_pooled']:.1f}", f"{s['psnr_worst']:.1f}", f"{100 * s['share_above_bar']:.1f}",
        f"{s['known_psnr']:.1f}", f"{s['known_psnr_worst']:.1f}", f"{100 * s['known_share_above_bar']:.1f}",
        f"{s['ssim']:.4f}", f"{s['feature_distance']:.4f}",
    )  # fmt: skip
    return f"| {name} | {' | '.join(cells)} |"


def main(
    photos: tyro.conf.Positional[tuple[Path, ...]],
    out: Path,
    paths: tuple[str, ...] = ("arc",),
    frames: int = 101,
    laps: int = 3,
    size: str = "128x72",
    between: Literal["nothing", "extend", "remove", "both"] = "both",
    extend_path: str = "orbit",
    seed: int = 0,
) -> None:
    """Args:
    photos: one scene each.
    out: a JSON file for the figures.
    paths, frames: the way out.
    laps: how often out and back.
    size: of the frames.
    between: what is done to the scene after a lap, in turn.
    extend_path: along which the scene is extended then.
    seed: of all that is made.
    """
    kinds: dict[str, Change] = {"extend": Extension(extend_path), "remove": ThingRemoval()}
    changes = [kinds[kind] for kind in CHANGES[between]]
    describe, films, everything = PatchFeatures.pretrained(), {}, []
    out.parent.mkdir(parents=True, exist_ok=True)
    protocol = {
        "paths": paths, "way_out": frames, "frames": laps * (2 * frames - 2) + 1, "laps": laps, "size": size,
        "between": between, "extend_path": extend_path, "seed": seed,
    }  # fmt: skip
    if out.exists():
        earlier = json.loads(out.read_text())
        if earlier["protocol"] != json.loads(json.dumps(protocol)):
            raise SystemExit(f"{out} was measured by another protocol: choose another file")
        films = earlier["films"]
        everything = [Revisit(**one) for film in films.values() for one in film["all"]]
    print(HEAD)
    for number, photo in enumerate(photos):
        if str(photo) in films:
            continue
        path, before = paths[number % len(paths)], time.process_time()
        scene = sm.Scene.from_photo(photo, size=parse_size(size), seed=seed)
        way = sm.Trajectory.preset(path, scene, frames=frames).cameras
        found = walk(scene, way, laps, changes, describe)
        everything += found
        facts: dict[str, Any] = {
            "path": path, "revisits": len(found), "cpu_seconds": time.process_time() - before,
            "steps": [step.operation for step in scene.history if step.operation != "look"],
            "windows": sum(step.operation == "look" for step in scene.history), "gaussians": len(scene.memory.gaussians),
        }  # fmt: skip
        films[str(photo)] = {**facts, **summary(found), "by_visit": by_visit(found), "all": [asdict(one) for one in found]}
        print(row(f"{photo.stem}, {path}", found), flush=True)
        together = {"scenes": len(films), **summary(everything), "by_visit": by_visit(everything)}
        out.write_text(json.dumps({"protocol": protocol, "together": together, "films": films}, indent=2) + "\n")
    print(row(f"all {len(films)}", everything))


if __name__ == "__main__":
    tyro.cli(main)
