"""Trains the layer that tells whether a photo was taken indoors, from the mean tokens of the depth model's vision transformer.

python tools/train_indoors.py --indoors DIR_OR_PHOTO... --outdoors DIR_OR_PHOTO... --out assets/models/depth-small

A linear layer of 1,536 inputs, fitted by ridge regression to -1 and 1, both kinds with the same weight. Of each photo it sees
the whole and parts of it. What it would say of each photo if that had been left out is printed with ``--check``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from PIL import ImageOps
from safetensors.torch import save_file
from splatmem.depth.embedded.network import INDOORS_FILE, SmallDepth
from splatmem.io.pictures import open_picture
from splatmem.pixels import from_uint8
from torch import Tensor

PARTS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.7, 0.7), (0.3, 0.3, 1.0, 1.0))
"""Left, top, right and bottom of the parts of a photo, as shares of its size."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LONGEST = 512
"""Pixels of a part's longer side."""


@dataclass
class Args:
    """The photos, and where the weights go.

    Attributes:
        indoors: photos, or folders of photos, that were taken in rooms.
        outdoors: all others.
        out: folder of the depth model.
        ridge: weight of the penalty on the layer's weights.
        check: say of which photos it would be wrong if they had been left out, and save nothing.
    """

    indoors: list[Path]
    outdoors: list[Path]
    out: Path = Path("assets/models/depth-small")
    ridge: float = 100.0
    check: bool = False


def main() -> None:
    args = tyro.cli(Args, description=__doc__)
    model = SmallDepth.from_folder(args.out)
    photos = [(file, 1.0) for file in files_of(args.indoors)] + [(file, -1.0) for file in files_of(args.outdoors)]
    tokens = torch.stack([mean_tokens(model, file) for file, _ in photos])
    truth = torch.tensor([kind for _, kind in photos])
    if args.check:
        wrong = []
        for index, (file, kind) in enumerate(photos):
            others = torch.arange(len(photos)) != index
            weight, bias = fitted(tokens[others], truth[others], args.ridge)
            told = tokens[index] @ weight + bias
            if told[0] * kind < 0:
                wrong.append(f"{file.stem} ({told[0]:+.2f})")
        print(f"{len(wrong)} of {len(photos)} wrong, each left out in turn: {', '.join(wrong)}")
        return
    weight, bias = fitted(tokens, truth, args.ridge)
    save_file({"weight": weight[None].contiguous(), "bias": bias.reshape(1)}, args.out / INDOORS_FILE)


def files_of(paths: list[Path]) -> list[Path]:
    """The photos, in the order of their names."""
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return [file for file in files if file.suffix.lower() in SUFFIXES]


@torch.no_grad()
def mean_tokens(model: SmallDepth, file: Path) -> Float[Tensor, "p m"]:
    """The mean tokens of a photo's parts, each the mean of those of the part and of its mirror image."""
    rows = []
    with open_picture(file) as picture:
        whole = ImageOps.exif_transpose(picture).convert("RGB")
    for left, top, right, bottom in PARTS:
        width, height = whole.size
        part = whole.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        part.thumbnail((LONGEST, LONGEST))
        data = torch.frombuffer(bytearray(part.tobytes()), dtype=torch.uint8).view(part.height, part.width, 3)
        pixels = 2 * from_uint8(data).permute(2, 0, 1)[None] - 1
        maps = [model.token_maps(picture) for picture in (pixels, pixels.flip(-1))]
        rows.append(torch.stack([seen.mean[0] for seen in maps if seen is not None]).mean(0))
    return torch.stack(rows)


def fitted(
    tokens: Float[Tensor, "n p m"], truth: Float[Tensor, " n"], ridge: float
) -> tuple[Float[Tensor, " m"], Float[Tensor, ""]]:
    """Weights and bias of the layer."""
    count = tokens.shape[1]
    x, y = tokens.flatten(0, 1).double(), truth.repeat_interleave(count).double()
    weight = torch.where(y > 0, 0.5 / (y > 0).double().mean(), 0.5 / (y < 0).double().mean())
    mean = (weight[:, None] * x).sum(0) / weight.sum()
    # Of fewer photos than channels: the dual form solves for one number per picture.
    centred, root = x - mean, weight.sqrt()
    rows = root[:, None] * centred
    kernel = rows @ rows.T + ridge * torch.eye(len(x), dtype=x.dtype)
    target = (weight * y).sum() / weight.sum()
    solved = rows.T @ torch.linalg.solve(kernel, root * (y - target))
    return solved.float(), (target - mean @ solved).float()


if __name__ == "__main__":
    main()
