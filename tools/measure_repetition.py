"""How much of what is made around photos shows their things again.

    python tools/measure_repetition.py PHOTOS...
    python tools/measure_repetition.py PHOTOS... --size 512x288 --json figures.json --pictures FOLDER

What the embedded inpainter makes around each photo is looked at. Each patch of it is compared
with the patches of the photo by the tokens of the depth model's transformer (DINOv2, Oquab et al. 2023). The figure is the
share of the made patches that copy something prominent: the nearest patch of the photo, by the cosine of their tokens, is as
like as two pictures of one thing are, and it lies on a thing, on what stands out before the sky, or, whatever class it is taken
for, on what is like nothing else in the photo. Blank walls and blurs are not as like as that to anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table
from splatmem.classes import PixelClass
from splatmem.depth import load_depth_estimator
from splatmem.depth.embedded.network import SmallDepth
from splatmem.depth.embedded.token_stream import DEVIATION, MEAN, grid_of
from splatmem.depth.embedded.vision_transformer import PATCH
from splatmem.depth.huggingface import HuggingFaceDepth
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.explore.widening import ready_for_path
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import PartialFrames, VideoInpainter, load_inpainter
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, load_photo
from splatmem.pixels import to_png
from splatmem.timing import StageClock
from torch import Tensor

from render_rooms import parse_size

TOKENS = 700  # of a picture
MOSTLY = 0.6  # share of a patch that things cover, or that is unknown, from which it is one of theirs, or made
COLUMNS = 64  # of the pictures whose patches are compared: what is smaller than a sixty-fourth of a view is texture
RADIUS = 2  # of the patches: a twelfth of the view is what is seen at a glance
APART = 0.15  # of the view: nearer, a patch is found in its own continuation
HEIGHTS = 2  # rows up and down in which a patch may be found again: what lies higher or lower is something else
COVERED = 0.5  # share of a cell, and of a pair of patches, that must be known
UNLIKE = 0.1  # difference of colours (root mean square) from which two patches are not taken for each other
COPY = 0.5  # cosine of tokens from which a patch shows the same: walls without anything reach .35, mirrored animals .6 to .8


@dataclass
class Options:
    """Which photos."""

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    size: str = "256x144"
    """Width x height of the views."""
    views: int = 8
    """How many look around."""
    seed: int = 0
    """Of the inpainter."""
    json: Path | None = None
    """Also write the figures to this file."""
    pictures: Path | None = None
    """Also write what lies around each photo to this folder, as one picture."""


def tokens_of(model: SmallDepth, rgb: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t c rows columns"]:
    """Tokens of the transformer's last layer, of unit length."""
    rows, columns = grid_of(rgb.shape[1], rgb.shape[2], TOKENS)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    size = (PATCH * rows, PATCH * columns)
    pictures = F.interpolate(rgb.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=True, align_corners=False)
    stream = model.stream
    assert stream is not None
    patches, _ = stream.transformer((pictures - mean) / deviation, stream.layers)[-1]
    return F.normalize(stream.standardise[-1](patches), dim=1)


def covered(mask: Bool[Tensor, "t h w"], like: Float[Tensor, "t c rows columns"]) -> Float[Tensor, "t rows columns"]:
    """Share of each patch that a mask covers."""
    return F.interpolate(mask[:, None].float(), size=like.shape[-2:], mode="area")[:, 0]


def repeated_share(
    photo: Float[Tensor, "1 c r k"],
    thing: Float[Tensor, "1 r k"],
    made: Float[Tensor, "t c r k"],
    unknown: Float[Tensor, "t r k"],
) -> float:
    """Share of the made patches that copy one of a thing; nan if nothing is made."""
    wanted = made.permute(0, 2, 3, 1)[unknown >= MOSTLY]
    if not len(wanted):
        return float("nan")
    likeness, nearest = (wanted @ photo.flatten(2)[0]).max(1)
    return ((likeness > COPY) & (thing.flatten()[nearest] >= MOSTLY)).float().mean().item()


def unlikeness(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How much the patch around each pixel differs in colour from the one that is most like it, at about its height and
    elsewhere along it; ``inf`` where there is none to compare it with.

    Args:
        rgb: 0..1.
        known: pixels that count.
    """
    rows = max(1, round(COLUMNS * rgb.shape[0] / rgb.shape[1]))
    colours, there = _reduced(rgb, known, (rows, COLUMNS))
    count = (2 * RADIUS + 1) ** 2

    def patches(maps: Float[Tensor, "1 c r k"]) -> Float[Tensor, "n r k"]:
        padded = F.pad(maps, (RADIUS,) * 4, mode="replicate")
        return F.unfold(padded, 2 * RADIUS + 1).view(-1, rows, COLUMNS)

    shown = patches(there.float()).repeat(3, 1, 1)
    colours = patches(colours) * shown
    column = torch.arange(COLUMNS)
    near = (column[:, None] - column).abs() <= APART * COLUMNS
    least = torch.full((rows, COLUMNS), torch.inf)
    for step in range(-min(HEIGHTS, rows - 1), min(HEIGHTS, rows - 1) + 1):
        own, other = slice(max(0, -step), min(rows, rows - step)), slice(max(0, step), min(rows, rows + step))

        def product(a: Tensor, b: Tensor, own: slice = own, other: slice = other) -> Float[Tensor, "r k k"]:
            return torch.einsum("nrk,nrl->rkl", a[:, own], b[:, other])

        both = product(shown, shown)
        squares = product(colours.square(), shown) + product(shown, colours.square()) - 2 * product(colours, colours)
        barred = near | (both < COVERED * 3 * count) | ~there[0, 0, other, None, :]
        least[own] = torch.minimum(least[own], (squares / both.clamp_min(1)).masked_fill(barred, torch.inf).amin(-1))
    return F.interpolate(least.clamp_min(0).sqrt()[None, None], size=rgb.shape[:2], mode="nearest-exact")[0, 0]


def _reduced(
    rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], size: tuple[int, int]
) -> tuple[Float[Tensor, "1 3 r k"], Bool[Tensor, "1 1 r k"]]:
    """Mean colours of what is known in cells of a picture, and the cells that are known."""
    weight = F.interpolate(known[None, None].float(), size=size, mode="area")
    sums = F.interpolate((rgb * known[..., None]).permute(2, 0, 1)[None], size=size, mode="area")
    return sums / weight.clamp_min(1e-6), weight > COVERED


@torch.no_grad()
def measure(path: Path, options: Options, estimate: HuggingFaceDepth, inpainter: VideoInpainter) -> float:
    width, height = parse_size(options.size)
    picture = load_photo(path, width=width, height=height)
    camera = identity_camera(picture.fov_x_degrees or DEFAULT_FOV_X_DEGREES, width, height)
    memory = begin_memory(picture.rgb, camera, estimate, ExploreSettings(), StageClock())
    angles = [360 * number / options.views for number in range(options.views)]
    turn = Cameras.cat([camera.turned(right_degrees=angle) for angle in angles])
    reading = memory.read(turn)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, turn)
    generator = torch.Generator().manual_seed(options.seed)
    made = ready_for_path(inpainter, memory.as_given(), turn, options.seed, estimate)(partial, generator=generator).rgb
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        rows = made.chunk(2)
        (options.pictures / f"{path.stem}.png").write_bytes(to_png(torch.cat([torch.cat(list(row), dim=1) for row in rows])))
    classes = memory.views[0].classes
    assert classes is not None
    own, around = (tokens_of(estimate.model, rgb) for rgb in (picture.rgb[None], made))
    things = classes.where(PixelClass.THING, PixelClass.BUILDING)
    unlike = unlikeness(picture.rgb, torch.ones_like(things))
    things = (things | (torch.isfinite(unlike) & (unlike > UNLIKE)))[None]
    return repeated_share(own, covered(things, own), around, covered(~reading.known, around))


def main(options: Options) -> None:
    estimate = load_depth_estimator()
    assert isinstance(estimate, HuggingFaceDepth)
    shares, inpainter = {}, load_inpainter("embedded")
    for path in options.photos:
        shares[path.name] = measure(path, options, estimate, inpainter)
        print(path.name, f"{100 * shares[path.name]:.1f} %", flush=True)
    table = Table("photo", "made patches that copy something prominent, %")
    for name, share in {**shares, "mean": float(np.nanmean(list(shares.values())))}.items():
        table.add_row(name, f"{100 * share:.1f}")
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(shares, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
