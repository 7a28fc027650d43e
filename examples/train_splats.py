"""Trains a scene of 3D Gaussians from posed images on a CPU, with gsplat's own densification.

    python examples/train_splats.py FOLDER --out scene.ply

FOLDER holds a transforms.json (nerfstudio, instant-ngp, Blender) and the images that it names. The rest is what a script for
gsplat looks like (Kerbl et al. 2023, "3D Gaussian Splatting"): only ``rasterization`` is imported from elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from gsplat import DefaultStrategy
from kornia.losses import ssim_loss
from rich.progress import track
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.geometry.cameras import Cameras
from splatmem.io.photo import load_photo
from splatmem.io.ply import save_ply
from splatmem.io.transforms_json import load_transforms_json
from splatmem.metrics import psnr
from splatmem.render import rasterization
from torch import Tensor
from torch.nn import Parameter, ParameterDict
from torch.optim import Adam

LEARNING_RATES = {"means": 1.6e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh": 2.5e-3}  # of means: per scene scale
LAST_MEANS_RATE = 0.01  # of the first, reached by exponential decay
SSIM_SHARE = 0.2
HELD_OUT = 8  # every so many images one is not trained on


@dataclass
class Training:
    """How a scene is trained."""

    steps: int = 3000
    """Images that are looked at, one a step."""
    gaussians: int = 20_000
    """Gaussians to begin with, at random places before the cameras."""
    near: float = 0.3
    """Nearest place to begin with, as a share of ``far``."""
    far: float | None = None
    """Farthest place to begin with, from the cameras; by default twice the cameras' distance from their middle."""
    refine_every: int = 100
    """Steps from one densification to the next; they happen in the first half of the training, after the first sixth."""
    seed: int = 0
    """Of everything random."""


def load_images(folder: Path, width: int | None = None) -> tuple[Tensor, Cameras]:
    """Images ``[v, h, w, 3]`` and cameras of a transforms.json, in its order, scaled to a width if one is given."""
    file = folder / "transforms.json"
    cameras = load_transforms_json(file)
    if width is not None:
        cameras = cameras.resized(width, round(cameras.height * width / cameras.width))
    names = [frame["file_path"] for frame in json.loads(file.read_text(encoding="utf-8"))["frames"]]
    paths = [folder / name for name in names]
    paths = [path if path.suffix else path.with_suffix(".png") for path in paths]  # as Blender's data sets have them
    return torch.stack([load_photo(path, cameras.width, cameras.height).rgb for path in paths]), cameras


def scene_scale(cameras: Cameras) -> float:
    """Largest distance of a camera from their middle, with the margin that gsplat's trainer gives it."""
    return 1.1 * float((cameras.centers - cameras.centers.mean(0)).norm(dim=1).max().clamp_min(1e-3))


def begin(images: Tensor, cameras: Cameras, training: Training) -> ParameterDict:
    """Gaussians at random depths on the rays of random pixels, in those pixels' colours."""
    generator = torch.Generator().manual_seed(training.seed)
    count = training.gaussians
    far = training.far or 2 * scene_scale(cameras)
    pixels = torch.randint(images[..., 0].numel(), (count,), generator=generator)
    depth = far * (training.near + (1 - training.near) * torch.rand(count, generator=generator))
    rays = cameras.world_rays().flatten(0, 2)[pixels]
    means = cameras.centers[pixels // (cameras.width * cameras.height)] + depth[:, None] * rays
    size = depth / cameras.focal.mean() * (images[0, ..., 0].numel() * len(cameras) / count) ** 0.5
    return ParameterDict(
        {
            "means": Parameter(means),
            "scales": Parameter(size.log()[:, None].repeat(1, 3)),
            "quats": Parameter(torch.randn(count, 4, generator=generator)),
            "opacities": Parameter(logit(torch.full((count,), 0.1))),
            "sh": Parameter(rgb_to_sh(images.reshape(-1, 3)[pixels])),
        }
    )


def draw(params: ParameterDict, camera: Cameras) -> tuple[Tensor, Tensor, dict]:
    return rasterization(
        params["means"], params["quats"], params["scales"].exp(), params["opacities"].sigmoid(), params["sh"],
        camera.world_to_cam, camera.intrinsics, camera.width, camera.height, sh_degree=0, packed=False,
    )  # fmt: skip


def train(images: Tensor, cameras: Cameras, training: Training) -> Gaussians:
    """Fits Gaussians to the images ``[v, h, w, 3]`` of the cameras."""
    generator = torch.manual_seed(training.seed)  # the global one, from which gsplat's densification draws too
    params, scale = begin(images, cameras, training), scene_scale(cameras)
    rates = LEARNING_RATES | {"means": LEARNING_RATES["means"] * scale}
    optimizers = {name: Adam([{"params": [params[name]], "lr": rate, "name": name}], eps=1e-15) for name, rate in rates.items()}
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizers["means"], LAST_MEANS_RATE ** (1 / training.steps))
    strategy = DefaultStrategy(
        refine_start_iter=training.steps // 6, refine_stop_iter=training.steps // 2, refine_every=training.refine_every
    )
    strategy.check_sanity(params, optimizers)
    state = strategy.initialize_state(scene_scale=scale)
    for step in track(range(training.steps), "training"):
        view = int(torch.randint(len(cameras), (), generator=generator))
        image, _, info = draw(params, cameras[view])
        strategy.step_pre_backward(params, optimizers, state, step, info)
        pair = [t.permute(0, 3, 1, 2) for t in (image, images[view : view + 1])]
        loss = (1 - SSIM_SHARE) * (pair[0] - pair[1]).abs().mean() + SSIM_SHARE * ssim_loss(*pair, window_size=11)
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        decay.step()
        strategy.step_post_backward(params, optimizers, state, step, info)
    values = {name: value.detach() for name, value in params.items()}
    return Gaussians(values["means"], values["quats"], values["scales"], values["opacities"], values["sh"])


@torch.no_grad()
def quality(gaussians: Gaussians, images: Tensor, cameras: Cameras) -> float:
    """PSNR of what the Gaussians show of some images."""
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    views = (cameras.world_to_cam, cameras.intrinsics, cameras.width, cameras.height)
    return psnr(rasterization(*scene, *views, sh_degree=0)[0].clamp(0, 1), images)


def main(folder: Annotated[Path, tyro.conf.Positional], out: Path, training: Training, width: int | None = None) -> None:
    """Trains a scene from a folder with posed images and writes it as .ply.

    Args:
        folder: where transforms.json is.
        out: the .ply file.
        training: how.
        width: size of the images, if not their own.
    """
    images, cameras = load_images(folder, width)
    held_out = list(range(0, len(cameras), HELD_OUT))
    trained_on = [i for i in range(len(cameras)) if i not in held_out]
    gaussians = train(images[trained_on], cameras[trained_on], training)
    save_ply(gaussians, out)
    views = ((name, chosen) for name, chosen in (("seen", trained_on), ("held out", held_out)))
    scores = ", ".join(f"{name} {quality(gaussians, images[chosen], cameras[chosen]):.1f} dB" for name, chosen in views)
    print(f"{out}: {len(gaussians)} Gaussians; {scores}")


if __name__ == "__main__":
    tyro.cli(main)
