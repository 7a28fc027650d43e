"""A small scene is learnt from posed images, with gsplat's densification."""

from pathlib import Path

import torch
from PIL import Image
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at
from splatmem.io.transforms_json import save_transforms_json

from train_splats import Training, begin, load_images, quality, train

WIDTH, HEIGHT, VIEWS = 64, 48, 12


def scene() -> Gaussians:
    """Coloured balls around the origin."""
    generator = torch.Generator().manual_seed(0)
    count = 40
    return Gaussians(
        torch.rand(count, 3, generator=generator) * 1.6 - 0.8,
        torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        torch.full((count, 3), 0.15).log(),
        logit(torch.full((count,), 0.95)),
        torch.randn(count, 1, 3, generator=generator),
    )


def cameras() -> Cameras:
    angle = torch.arange(VIEWS) * (2 * torch.pi / VIEWS)
    places = torch.stack([3 * angle.sin(), 0.5 * (2 * angle).cos(), 3 * angle.cos()], dim=1)
    return Cameras.from_fov(look_at(places, torch.zeros(VIEWS, 3)), 50, WIDTH, HEIGHT)


def test_a_scene_is_learnt_and_densified(tmp_path: Path) -> None:
    views = cameras()
    with torch.no_grad():
        images = rasterize(scene(), views).rgb.clamp(0, 1)
    names = [f"{i}.png" for i in range(VIEWS)]
    for name, image in zip(names, images, strict=True):
        Image.fromarray((image * 255).round().to(torch.uint8).numpy()).save(tmp_path / name)
    save_transforms_json(views, tmp_path / "transforms.json", names)

    images, views = load_images(tmp_path)
    training = Training(steps=300, gaussians=800, near=0.5, far=4.5, refine_every=40)
    trained_on = [i for i in range(VIEWS) if i != 3]
    params = begin(images[trained_on], views[trained_on], training)
    start = Gaussians(*(params[name].detach() for name in ("means", "quats", "scales", "opacities", "sh")))
    learnt = train(images[trained_on], views[trained_on], training)
    assert quality(learnt, images[trained_on], views[trained_on]) > quality(start, images[trained_on], views[trained_on]) + 8
    held_out = (images[3:4], views[3:4])  # a view that was not trained on
    assert quality(learnt, *held_out) > quality(start, *held_out) + 5
    assert len(learnt) != training.gaussians  # it was densified and pruned
