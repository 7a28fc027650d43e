"""Turns rendered clips into training windows for the embedded inpainter.

From each clip a few views play what the memory has seen; their points are splatted into four other views, which gives
the partial frames. What may lie around the first view and the room layout fitted to all points give the proposal, as in the
loop. Shards are .npz files of windows.

    python tools/prepare_windows.py --clips clips --out windows
"""

from __future__ import annotations

import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from splatmem.extrapolate.room_layout import fit_room_layout
from splatmem.extrapolate.surroundings import extrapolate_view
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.gravity import down_in_world
from splatmem.geometry.normals import surface_normals
from splatmem.memory import SpatialMemory
from torch import Tensor

OPENGL_TO_OPENCV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
FAR_DEPTH = 60.0  # metres; where a clip has none (sky through a window)


@dataclass
class Options:
    clips: Path
    """Folder of clip .npz files (rgb, depth_mm, c2w, fovx, kind)."""
    out: Path
    """Folder for the shards."""
    width: int = 64
    height: int = 36
    frames: int = 4
    windows_per_clip: int = 3
    shard_clips: int = 100
    seed: int = 0
    watch: bool = False
    """Keep looking for new clips until the folder stays unchanged for two minutes."""


@dataclass
class Clip:
    rgb: Tensor  # [v, h, w, 3] 0..1
    depth: Tensor  # [v, h, w] z-depth in metres
    cameras: Cameras
    kind: str


def load_clip(file: Path, seen_width: int) -> Clip:
    """Reads a clip at ``seen_width`` pixels across, in the first view's coordinates."""
    with np.load(file) as data:
        rgb = torch.from_numpy(data["rgb"]).float() / 255
        depth = torch.from_numpy(data["depth_mm"].astype(np.float32)) / 1000
        pose = torch.from_numpy(data["c2w"]).float() @ OPENGL_TO_OPENCV
        fov, kind = float(data["fovx"]), str(data["kind"])
    depth = torch.where(depth <= 0, FAR_DEPTH, depth.clamp(max=FAR_DEPTH))
    factor = rgb.shape[2] // seen_width
    rgb = F.avg_pool2d(rgb.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)
    depth = depth[:, factor // 2 :: factor, factor // 2 :: factor]
    pose = torch.linalg.inv(pose[:1]) @ pose
    return Clip(rgb, depth, Cameras.from_fov(pose, fov, rgb.shape[2], rgb.shape[1]), kind)


def choose_views(clip: Clip, frames: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Views that play the memory, and the views of the window, as the explore loop would order them."""
    count = len(clip.rgb)
    if clip.kind == "pan360":
        start, turn = int(rng.integers(count)), int(rng.choice([-1, 1]))
        seen = 1 if rng.random() < 0.45 else int(rng.integers(2, count - frames + 1))
        sources = [(start + turn * i) % count for i in range(seen)]
        targets = [(start + turn * (seen + i)) % count for i in range(frames)]
        return sources, targets
    order = list(range(count)) if rng.random() < 0.5 else list(reversed(range(count)))
    seen = int(rng.choice([1, 1, 2, 3]))
    later = order[seen:]
    steps = np.linspace(0, len(later) - 1, frames + 1)[1:]
    return order[:seen], [later[round(s)] for s in steps]


def splat(points: Tensor, rgb: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest points per pixel at twice the window's size, averaged down: partial rgb, depth and known."""
    fine = cameras.resized(2 * cameras.width, 2 * cameras.height)
    pixels, depth = fine.project(points)
    frames = []
    for uv, z in zip(pixels, depth, strict=True):
        column, row = uv[:, 0].floor().long(), uv[:, 1].floor().long()
        visible = (z > 0.05) & (column >= 0) & (column < fine.width) & (row >= 0) & (row < fine.height)
        index, near = row[visible] * fine.width + column[visible], z[visible]
        nearest = torch.full((fine.height * fine.width,), torch.inf).scatter_reduce(0, index, near, "amin")
        front = near <= nearest[index] * 1.03
        total = torch.zeros(len(nearest), 5)
        values = torch.cat([rgb[visible], near[:, None], torch.ones(len(near), 1)], dim=1)
        total.index_add_(0, index[front], values[front])
        frames.append(total.view(fine.height, fine.width, 5))
    grid = torch.stack(frames).permute(0, 3, 1, 2)
    covered = (grid[:, 4:] > 0).float()
    mean = grid[:, :4] / grid[:, 4:].clamp_min(1)
    for _ in range(2):
        mean, covered = _close_cracks(mean, covered)
    share = F.avg_pool2d(covered, 2)
    mean = F.avg_pool2d(mean * covered, 2) / share.clamp_min(0.25)
    return mean[:, :3].permute(0, 2, 3, 1), mean[:, 3], share[:, 0] >= 0.5


def _close_cracks(mean: Tensor, covered: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels with covered neighbours on most sides take their mean: points are sparse where a surface is approached."""
    share = F.avg_pool2d(covered, 3, 1, 1)
    around = F.avg_pool2d(mean * covered, 3, 1, 1) / share.clamp_min(1e-3)
    crack = (covered == 0) & (share > 0.4)
    return torch.where(crack, around, mean), torch.where(crack, 1.0, covered)


def make_window(clip: Clip, options: Options, rng: np.random.Generator) -> dict[str, np.ndarray] | None:
    sources, targets = choose_views(clip, options.frames, rng)
    seen, wanted = clip.cameras[sources], clip.cameras[targets]
    points = seen.unproject(clip.depth[sources])
    normals = surface_normals(clip.depth[sources], seen)
    near = clip.depth[sources] < 0.5 * FAR_DEPTH
    colours = clip.rgb[sources]
    # The layout sees every source at the window's own density.
    stride = max(1, points.shape[2] // options.width)
    sample = (slice(None), slice(None, None, stride), slice(None, None, stride))
    keep = near[sample]
    if keep.float().mean() < 0.3:
        return None
    down = down_in_world(colours[0], seen[0])
    layout = fit_room_layout(
        points[sample][keep],
        normals[sample][keep],
        colours[sample][keep],
        torch.cat([seen.centers, wanted.centers]),
        down,
        metric=True,
    )
    cameras = wanted.resized(options.width, options.height)
    partial_rgb, partial_depth, known = splat(points.reshape(-1, 3), colours.reshape(-1, 3), cameras)
    photo = SpatialMemory(metric=True, down=down)
    photo.write(colours[0], torch.where(near[0], clip.depth[sources[0]], torch.inf), seen[0], torch.ones_like(near[0]))
    surroundings = extrapolate_view(photo, layout, wanted)
    proposal = surroundings.propose(cameras, partial_rgb, partial_depth, known)
    unknown_share = 1 - known.float().mean()
    if unknown_share < 0.08:
        return None
    factor = clip.rgb.shape[2] // options.width
    truth_rgb = F.avg_pool2d(clip.rgb[targets].permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)
    truth_depth = clip.depth[targets][:, factor // 2 :: factor, factor // 2 :: factor]
    return {
        "rgb": (truth_rgb * 255).round().byte().numpy(),
        "depth": truth_depth.half().numpy(),
        "partial_rgb": (partial_rgb * 255).round().byte().numpy(),
        "partial_depth": partial_depth.half().numpy(),
        "known": known.numpy(),
        "proposal_rgb": (proposal.rgb.clamp(0, 1) * 255).round().byte().numpy(),
        "proposal_depth": proposal.depth.half().numpy(),
        "covered": proposal.covered.numpy(),
        "place": (proposal.place * 127).round().to(torch.int8).numpy(),
    }


def write_shard(files: list[Path], number: int, options: Options) -> int:
    rng = np.random.default_rng([options.seed, number])
    windows: list[dict[str, np.ndarray]] = []
    for file in files:
        try:
            clip = load_clip(file, 2 * options.width)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            print(f"skipped {file.name}: {error}")
            continue
        # Full turns are what the loop does most, and where most is unseen.
        wanted = options.windows_per_clip * (3 if clip.kind == "pan360" else 1)
        made = (make_window(clip, options, rng) for _ in range(wanted))
        windows += [w for w in made if w is not None]
    if windows:
        stacked = {key: np.stack([w[key] for w in windows]) for key in windows[0]}
        temporary = options.out / f".shard_{number:04d}.npz"
        np.savez(temporary, **stacked)
        temporary.rename(options.out / f"shard_{number:04d}.npz")
    return len(windows)


def main(options: Options) -> None:
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    done: set[Path] = set()
    number = len(list(options.out.glob("shard_*.npz")))
    idle_since = time.monotonic()
    while True:
        fresh = sorted(set(options.clips.glob("*.npz")) - done, key=lambda f: f.stat().st_mtime)
        full = options.watch and time.monotonic() - idle_since < 120
        if len(fresh) >= options.shard_clips or (fresh and not full):
            batch = fresh[: options.shard_clips]
            started = time.monotonic()
            made = write_shard(batch, number, options)
            print(f"shard {number}: {made} windows in {time.monotonic() - started:.0f} s", flush=True)
            done.update(batch)
            number += 1
            idle_since = time.monotonic()
        elif not full:
            return
        else:
            time.sleep(5)


if __name__ == "__main__":
    main(tyro.cli(Options))
