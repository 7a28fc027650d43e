"""How well a finished scene's Gaussians cover: what other viewers, which composite plainly, show of it beside its film.

For the folders that ``splatmem flyaround`` wrote, from cameras of their paths: the share of known pixels whose accumulated
opacity is 0.99 at least, at once, twice and four times the size that was lifted; PSNR of plain compositing over black and over
white against the film at two sizes, where the film is known; and what the report says of photo, retention, count and time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from splatmem.gaussians.draw import rasterize_colours
from splatmem.geometry.cameras import Cameras
from splatmem.io.path_files import load_path
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session
from splatmem.memory.visibility import known_pixels
from splatmem.metrics import psnr

COVERED = 0.99
MAGNIFICATIONS = (1, 2, 4)
SIZES = ((512, 288), (1280, 720))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--cameras", type=int, default=12, help="of the path, evenly spread")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        memory, _ = load_session(folder / "memory")
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        path = path_of(folder, report)
        cameras = path[[round(i * (len(path) - 1) / arguments.cameras) for i in range(arguments.cameras)]]
        print(f"{folder.name}: {len(memory.gaussians):,} Gaussians, {report['seconds']['total']:.1f} s,", end=" ")
        print(f"peak {report['peak_rss_bytes'] / 1e9:.2f} GB, unknown {100 * report['unknown_fraction']:.2f} %")
        kept = report["retention_psnr"]
        photo, patch = report["photo_psnr"], report["photo_worst_patch_psnr"]
        print(
            f"  photo {photo:.1f} dB ({patch:.1f} in its worst patch), retention {kept['min']:.1f} dB at least, "
            f"{kept['mean']:.1f} in the mean"
        )
        for times in MAGNIFICATIONS:
            larger = cameras.resized(times * path.width, times * path.height)
            print(f"  alpha >= {COVERED} at {times}x: {100 * covered_share(memory, larger):.2f} % of the known pixels")
        for width, height in SIZES:
            over_black, over_white, worst = plain_psnr(memory, cameras.resized(width, height))
            print(f"  plain compositing at {width}x{height}: {over_black:.1f} dB over black ({worst:.1f} at least),", end=" ")
            print(f"{over_white:.1f} over white, of the film")


def path_of(folder: Path, report: dict) -> Cameras:
    width, height = report["size"]
    return load_path(
        folder / "cameras.json", width=width, height=height, fov_x_degrees=report["fov_x_degrees"], frames=report["frames"]
    )


@torch.no_grad()
def covered_share(memory: SpatialMemory, cameras: Cameras) -> float:
    """Share of the known pixels of all cameras that are covered."""
    covered = known = 0
    for index in range(len(cameras)):
        _, alpha, back = rasterize_colours(memory.gaussians, cameras[index])
        shown = known_pixels(alpha, back)
        known += int(shown.sum())
        covered += int((shown & (alpha >= COVERED)).sum())
    return covered / max(1, known)


@torch.no_grad()
def plain_psnr(memory: SpatialMemory, cameras: Cameras) -> tuple[float, float, float]:
    """Mean PSNR over black and over white, and the least over black, of what is known."""
    values = []
    for index in range(len(cameras)):
        film, known = memory.film(cameras[index])
        plain, alpha, _ = rasterize_colours(memory.gaussians, cameras[index])
        white = plain + 1 - alpha[..., None]
        values.append([psnr(picture.clamp(0, 1)[0], film[0], known[0]) for picture in (plain, white)])
    over_black, over_white = torch.tensor(values).unbind(1)
    return over_black.mean().item(), over_white.mean().item(), over_black.min().item()


if __name__ == "__main__":
    main()
