"""Which distance between pictures agrees best with the eye: pairs that somebody has graded, against each distance.

    python tools/fetch_photos.py --out out/photos
    python tools/calibrate_pairs.py sheet out/photos/* --out out/pairs           # sheets of 60 pairs, numbered
    python tools/calibrate_pairs.py compare out/photos/* --grades tools/graded_pairs.csv

A pair is a photo and the same photo altered: twelve kinds of alteration in five strengths, each of another photo. Grades say
how different the two look, from 0 (the same) to 10 (nothing in common). Those in graded_pairs.csv are of one pair of eyes,
given on the sheets of the twenty photos that tools/photos.yaml names, before any distance was computed; other photos need
grades of their own. Told is Spearman's rank correlation with the grades, over all pairs and over those of small differences
(grades up to 5), with the interval that holds 95 % of 2,000 resamplings of the pairs; LPIPS where its weights are installed
(extra ``lpips``).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float
from kornia.filters import gaussian_blur2d
from PIL import Image, ImageDraw
from scipy.stats import spearmanr
from splatmem.depth.picture_tokens import PictureTokens
from splatmem.evaluation.features import PatchFeatures, distribution_distance, feature_distance
from splatmem.evaluation.lpips import Lpips
from splatmem.evaluation.tokens import TOKENS, token_distance
from splatmem.io.pictures import open_picture
from splatmem.metrics import psnr, ssim
from torch import Tensor

SIZE = (256, 144)
PER_SHEET, COLUMNS = 10, 2
STRENGTHS = 5
ORDER_SEED = 21
RESAMPLES = 2000

Picture = Float[Tensor, "1 h w 3"]
Photos = Annotated[tuple[Path, ...], tyro.conf.Positional]


def blurred(x: Picture, strength: float) -> Picture:
    sigma = 0.6 * 2**strength
    size = int(6 * sigma) | 1
    return gaussian_blur2d(x.permute(0, 3, 1, 2), (size, size), (sigma, sigma)).permute(0, 2, 3, 1)


def warped(x: Picture, aside: Float[Tensor, "h w"], down: Float[Tensor, "h w"]) -> Picture:
    """Each pixel taken from so many pixels aside and below."""
    height, width = x.shape[1:3]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([(2 * (columns + aside) + 1) / width - 1, (2 * (rows + down) + 1) / height - 1], dim=-1)
    return F.grid_sample(x.permute(0, 3, 1, 2), grid[None].float(), padding_mode="border", align_corners=False).permute(
        0, 2, 3, 1
    )


def waves(x: Picture, strength: float) -> Picture:
    """Straight lines bend."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[1]), torch.arange(x.shape[2]), indexing="ij")
    return warped(x, 1.5 * strength * torch.sin(rows / 11), 0.7 * strength * torch.sin(columns / 17))


def moved(x: Picture, strength: float) -> Picture:
    nothing = torch.zeros(x.shape[1:3])
    return warped(x, nothing + 2.0 * 2**strength / 2, nothing)


def torn(x: Picture, strength: float) -> Picture:
    """Strips slip against each other, as at steps of depth."""
    generator = torch.Generator().manual_seed(5)
    strips = torch.randn(12, generator=generator).repeat_interleave(-(-x.shape[1] // 12))[: x.shape[1]]
    return warped(x, 2.5 * strength * strips[:, None].expand(x.shape[1:3]), torch.zeros(x.shape[1:3]))


def dotted(x: Picture, strength: float) -> Picture:
    """A halftone of bright dots over the lower half, as narrow Gaussians seen from near."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[1]), torch.arange(x.shape[2]), indexing="ij")
    dots = ((rows % 4 < 2) & (columns % 4 < 2) & (rows > x.shape[1] // 2)).float()[None, ..., None]
    soft = blurred(x, 1.5)
    return torch.lerp(
        x,
        (soft + 0.1 * strength * (2 * dots - 0.5)).clamp(0, 1),
        (dots.amax() * (rows > x.shape[1] // 2))[None, ..., None].float(),
    )


def noisy(x: Picture, strength: float) -> Picture:
    return (x + 0.03 * strength * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def tinted(x: Picture, strength: float) -> Picture:
    return (x * (1 + 0.09 * strength * torch.tensor([1.0, 0.0, -1.0]))).clamp(0, 1)


def darkened(x: Picture, strength: float) -> Picture:
    return x * (1 - 0.14 * strength)


def smeared(x: Picture, strength: float) -> Picture:
    """A part at the right is smeared from its left edge."""
    width = int(0.12 * strength * x.shape[2])
    edge = x[:, :, -width - 1 : -width].expand(-1, -1, width, -1)
    return torch.cat([x[:, :, :-width], edge], dim=2)


def repeated(x: Picture, strength: float) -> Picture:
    """A part at the right is the mirrored left one, as a view that goes on with pieces of itself."""
    width = int(0.15 * strength * x.shape[2])
    return torch.cat([x[:, :, :-width], x[:, :, :width].flip(2)], dim=2)


def without(x: Picture, strength: float) -> Picture:
    """A disc in the middle is filled by colours around it."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[1]), torch.arange(x.shape[2]), indexing="ij")
    away = ((rows - x.shape[1] / 2).square() + (columns - x.shape[2] / 2).square()).sqrt()
    hole = (away < 12 * strength)[None, ..., None]
    outside = torch.where(hole, 0.0, x)
    weight = (~hole).float().expand_as(x)
    filled = blurred(outside, 4.5) / blurred(weight, 4.5).clamp_min(1e-3)
    return torch.where(hole, filled.clamp(0, 1), x)


def larger(x: Picture, strength: float) -> Picture:
    """Seen from a little nearer."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[1]), torch.arange(x.shape[2]), indexing="ij")
    by = 0.04 * strength
    return warped(x, -by * (columns - x.shape[2] / 2), -by * (rows - x.shape[1] / 2))


KINDS: dict[str, Callable[[Picture, float], Picture]] = {
    "blurred": blurred, "waves": waves, "moved": moved, "torn": torn, "dotted": dotted, "noisy": noisy, "tinted": tinted,
    "darkened": darkened, "smeared": smeared, "repeated": repeated, "without": without, "larger": larger,
}  # fmt: skip


def read(photo: Path) -> Picture:
    with open_picture(photo) as picture:
        small = picture.convert("RGB")
        shape = min(small.width / SIZE[0], small.height / SIZE[1])
        box = (small.width - shape * SIZE[0], small.height - shape * SIZE[1])
        small = small.resize(
            SIZE, Image.Resampling.LANCZOS, (box[0] / 2, box[1] / 2, small.width - box[0] / 2, small.height - box[1] / 2)
        )
    return torch.from_numpy(np.asarray(small).copy()).float()[None] / 255


def pairs(photos: Photos) -> list[tuple[str, Picture, Picture]]:
    """All pairs, in an order that tells nothing of kind or strength."""
    made = [(kind, strength) for kind in KINDS for strength in range(1, STRENGTHS + 1)]
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(ORDER_SEED)).tolist()
    found = []
    for place, number in enumerate(order):
        kind, strength = made[number]
        x = read(photos[place % len(photos)])
        found.append((f"{kind} {strength}", x, KINDS[kind](x, float(strength))))
    return found


def sheet(photos: Photos, out: Path) -> None:
    """Sheets of numbered pairs, small enough to be looked at in full size."""
    out.mkdir(parents=True, exist_ok=True)
    all_pairs = pairs(photos)
    for first in range(0, len(all_pairs), PER_SHEET):
        rows = -(-PER_SHEET // COLUMNS)
        page = Image.new("RGB", (COLUMNS * (2 * SIZE[0] + 14), rows * (SIZE[1] + 18)), "white")
        for index, (_, one, other) in enumerate(all_pairs[first : first + PER_SHEET]):
            left, top = index % COLUMNS * (2 * SIZE[0] + 14), index // COLUMNS * (SIZE[1] + 18)
            for number, picture in enumerate((one, other)):
                pixels = (255 * picture[0]).round().byte().numpy()
                page.paste(Image.fromarray(pixels), (left + number * (SIZE[0] + 2), top + 14))
            ImageDraw.Draw(page).text((left, top), str(first + index), fill="black")
        page.save(out / f"pairs_{first // PER_SHEET}.png")


def compare(photos: Photos, grades: Path) -> None:
    """Prints how each distance agrees with the grades."""
    with grades.open() as file:
        graded = {int(line["pair"]): float(line["grade"]) for line in csv.DictReader(file)}
    convolutional, tokens = PatchFeatures.pretrained(), PictureTokens.embedded(TOKENS)
    lpips = Lpips.pretrained() if Lpips.installed() else None
    rows = []
    for _, one, other in pairs(photos):
        everywhere = torch.ones(one.shape[:3], dtype=torch.bool)
        features = convolutional(one), convolutional(other)
        rows.append({
            "PSNR": -psnr(one, other),
            "SSIM": -ssim(one, other, everywhere),
            "feature distance (EfficientNet-Lite0)": feature_distance(*features, everywhere),
            "distribution distance (EfficientNet-Lite0)": distribution_distance(*features, everywhere),
            "token distance (DINOv2)": float(token_distance(tokens(one), tokens(other))),
            **({} if lpips is None else {"LPIPS (AlexNet)": lpips(one, other)}),
        })  # fmt: skip
    rows = [rows[number] | {"grade": grade} for number, grade in sorted(graded.items())]
    small = [row for row in rows if row["grade"] <= 5]
    print(f"| distance | {len(rows)} pairs | {len(small)} pairs of small differences |\n|---|---|---|")
    for name in rows[0]:
        if name != "grade":
            print(f"| {name} | {agreement(name, rows)} | {agreement(name, small)} |")


def agreement(name: str, rows: list[dict[str, float]]) -> str:
    """Spearman's rank correlation of a distance with the grades, and its percentile bootstrap over pairs."""
    values, grades = (np.array([row[key] for row in rows]) for key in (name, "grade"))
    resamples = np.random.default_rng(0).integers(len(rows), size=(RESAMPLES, len(rows)))
    low, high = np.percentile([spearmanr(values[some], grades[some])[0] for some in resamples], (2.5, 97.5))
    return f"{spearmanr(values, grades)[0]:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"sheet": sheet, "compare": compare})
