"""Trains the small network that tells which pixels show the same thing as a clicked one, on views of tools/render_clicks.py.

python tools/render_clicks.py --data out/rooms-data --split train --rooms 80 --seed 900 --out out/clicks-train
python tools/train_clicks.py out/clicks-train/*.npz --photos out/rooms-data/photos --out assets/models/click-small
python tools/measure_clicks.py out/clicks/*.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from splatmem.depth import load_depth_estimator
from splatmem.edit.click_features import NUM_FEATURES, click_features, click_maps
from splatmem.edit.click_network import ClickNetwork
from splatmem.io.pictures import open_picture

from click_views import ClickView, clicks_on, read_view

WITHOUT_CLASSES = 0.25  # share of the views whose classes are not told, as in views that are no photo's own
PAINTED = 0.3  # share of the views whose things and walls are painted with photos: rooms have fewer textures than the world
FLAT = 0.25  # share of the views whose things have no depth of their own, as that of distant and small ones often is
SURFACES_PAINTED = 0.6  # share of their things, walls included, that are
STRONGEST = 0.8  # share of a photo in a painted surface at most
BATCH = 4
RATE, WARM_UP, DECAY = 3e-3, 100, 2e-2
DICE = 0.5  # weight of the overlap in the loss


def samples(files: list[Path], photos: list[Path], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Features ``[n, f, h, w]`` in float16, and the true things ``[n, h, w]``."""
    estimator = load_depth_estimator("embedded")
    patterns = [np.asarray(small_picture(file)) for file in photos]
    features, things = [], []
    for file in files:
        view = read_view(file, estimator)
        classes = None if rng.random() < WITHOUT_CLASSES else view.classes
        rgb = painted(view, patterns, rng) if patterns and rng.random() < PAINTED else view.rgb
        depth = flattened(view.depth) if rng.random() < FLAT else view.depth
        maps = click_maps(rgb, depth, view.camera, view.down, classes)
        height, width = maps.size
        scale = width / view.camera.width
        for click in clicks_on(view, rng):
            thing = torch.from_numpy(click.thing.astype(np.float32))[None, None]
            thing = F.interpolate(thing, size=(height, width), mode="nearest-exact")[0, 0]
            row, column = min(int((click.row + 0.5) * scale), height - 1), min(int((click.column + 0.5) * scale), width - 1)
            if thing[row, column]:
                features.append(click_features(maps, row, column).clamp(-1e4, 1e4).half())
                things.append(thing)
    return torch.stack(features), torch.stack(things)


def small_picture(file: Path) -> Image.Image:
    with open_picture(file) as picture:
        small = picture.convert("RGB")
        small.thumbnail((512, 512))
    return small


def flattened(depth: torch.Tensor) -> torch.Tensor:
    """Depth without steps: its reciprocal far too smooth."""
    inverse = F.interpolate(1 / depth.clamp_max(1e6)[None, None], size=(3, 4), mode="area")
    return 1 / F.interpolate(inverse, size=depth.shape, mode="bicubic", align_corners=False)[0, 0].clamp_min(1e-6)


def painted(view: ClickView, patterns: list[np.ndarray], rng: np.random.Generator) -> torch.Tensor:
    """A view's picture with photos blended into some of its things, and into the room itself."""
    rgb = view.rgb.numpy().copy()
    for number in np.unique(view.things):
        if rng.random() < SURFACES_PAINTED:
            where = view.things == number
            pattern = patterns[int(rng.integers(len(patterns)))]
            scale = rng.uniform(0.3, 1.5)
            rows, columns = (np.arange(side) / scale + rng.uniform(0, 512) for side in where.shape)
            tiled = pattern[rows.astype(int) % len(pattern)][:, columns.astype(int) % pattern.shape[1]] / 255
            share = rng.uniform(0.2, STRONGEST)
            # The light on the surface stays.
            light = rgb[where].mean(-1, keepdims=True) / max(float(rgb[where].mean()), 1e-3)
            rgb[where] = (1 - share) * rgb[where] + share * (tiled[where] * light).clip(0, 1)
    return torch.from_numpy(rgb.astype(np.float32))


def train(features: torch.Tensor, things: torch.Tensor, seconds: float) -> ClickNetwork:
    """A network trained for as many seconds of the processor."""
    torch.manual_seed(0)
    rng, network = np.random.default_rng(0), ClickNetwork()
    some = features[:: max(1, len(features) // 100)].float()
    network.mean.copy_(some.mean((0, 2, 3)).view(NUM_FEATURES, 1, 1))
    network.deviation.copy_(some.std((0, 2, 3)).clamp_min(1e-3).view(NUM_FEATURES, 1, 1))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    start, step, total, share = time.process_time(), 0, 0.0, 0.0
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, step / WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * share))
        chosen = torch.from_numpy(rng.integers(0, len(features), BATCH))
        x, truth = features[chosen].float(), things[chosen]
        if step % 2:
            x, truth = x.flip(-1), truth.flip(-1)
        loss = click_loss(network(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step, total = step + 1, total + loss.item()
        share = (time.process_time() - start) / seconds
        if step % 200 == 0:
            print(f"{step} steps, {100 * share:.0f} %: loss {total / 200:.3f}", flush=True)
            total = 0.0
    return network


def click_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, in which small things count more, and one minus the Dice coefficient."""
    weight = (0.1 / (truth.mean((1, 2), keepdim=True) + 0.02)).clamp_max(3)
    entropy = (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight).mean()
    shares = logits.sigmoid()
    dice = (2 * (shares * truth).sum((1, 2)) + 1) / ((shares + truth).sum((1, 2)) + 1)
    return entropy + DICE * (1 - dice).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", nargs="+", type=Path)
    parser.add_argument("--photos", type=Path, help="folder of photos to paint things with")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors")
    parser.add_argument("--seconds", type=float, default=300, help="of the processor, for the training")
    arguments = parser.parse_args()
    photos = [] if arguments.photos is None else sorted(arguments.photos.glob("*.jpg"))
    features, things = samples(arguments.views, photos, np.random.default_rng(0))
    print(f"{len(features)} clicks", flush=True)
    network = train(features, things, arguments.seconds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = {name: values.half().contiguous() for name, values in network.state_dict().items()}
    save_file(weights, arguments.out / "model.safetensors")


if __name__ == "__main__":
    main()
