"""What a picture's pixels show: a room with a box, told by classes and by depth alone."""

from __future__ import annotations

import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth.classes import classify
from splatmem.geometry.cameras import Cameras

DOWN = torch.tensor([0.0, 1.0, 0.0])
BOX = (slice(28, 56), slice(30, 50))  # rows and columns of a box that stands on the floor


def room() -> tuple[torch.Tensor, torch.Tensor, Cameras]:
    """A grey room 4 deep with a floor 1.2 below the camera, and a red box at 2.4 that stands on it."""
    camera = Cameras.from_fov(torch.eye(4)[None], 70.0, 96, 64)
    rays = camera.pixel_rays()[0]
    depth = torch.minimum(torch.full((64, 96), 4.0), torch.where(rays[..., 1] > 0, 1.2 / rays[..., 1].clamp_min(1e-6), 1e6))
    rgb = torch.full((64, 96, 3), 0.6)
    rgb[depth < 4.0] = torch.tensor([0.5, 0.4, 0.3])
    rgb[BOX] = torch.tensor([0.8, 0.1, 0.1])
    depth[BOX] = 2.4
    return rgb, depth, camera


def coarse_logits(shift: int = 0) -> torch.Tensor:
    """Logits on a grid of 2x2 pixels: wall above, floor below, the box as a thing, moved by ``shift`` pixels."""
    labels = torch.full((64, 96), int(PixelClass.WALL))
    labels[50:] = PixelClass.FLOOR
    labels[BOX[0], BOX[1].start + shift : BOX[1].stop + shift] = PixelClass.THING
    share = torch.nn.functional.one_hot(labels, len(PixelClass)).permute(2, 0, 1).float()
    return 4 * torch.nn.functional.avg_pool2d(share[None], 2)[0]


def test_classes_follow_the_pictures_edges_not_the_coarse_map() -> None:
    rgb, depth, camera = room()
    box = torch.zeros(64, 96, dtype=torch.bool)
    box[BOX] = True
    found = classify(rgb, depth, camera, DOWN, coarse_logits(shift=1)).where(PixelClass.THING)
    assert (found & box).sum() / (found | box).sum() > 0.95


def test_depth_alone_tells_floor_wall_and_thing() -> None:
    rgb, depth, camera = room()
    classes = classify(rgb, depth, camera, DOWN)
    assert (classes.labels[30:50, 33:47] == PixelClass.THING).float().mean() > 0.95
    assert (classes.labels[60:, :20] == PixelClass.FLOOR).float().mean() > 0.9
    assert (classes.labels[5:20] == PixelClass.WALL).float().mean() > 0.95


def test_sky_is_where_depth_says_so_whatever_the_head_says() -> None:
    rgb, depth, camera = room()
    depth[:10] = torch.inf
    logits = coarse_logits()
    logits[PixelClass.SKY] = 9.0
    classes = classify(rgb, depth, camera, DOWN, logits)
    assert torch.equal(classes.where(PixelClass.SKY), torch.isinf(depth))


def test_a_gap_of_depth_parts_two_things() -> None:
    rgb, depth, camera = room()
    depth[BOX[0], 40:50] = 1.6
    logits = coarse_logits()
    things = classify(rgb, depth, camera, DOWN, logits).things
    assert things[40, 33] != things[40, 46]
    assert things[40, 33] > 0
    assert things[40, 46] > 0
    assert things[5, 5] == 0


def test_classes_at_another_size() -> None:
    labels = torch.zeros(4, 6, dtype=torch.uint8)
    labels[:, 3:] = PixelClass.THING
    half = PixelClasses(labels, labels.to(torch.int16) // int(PixelClass.THING)).at(3, 2)
    assert half.labels.tolist() == [[0, 5, 5], [0, 5, 5]]
    assert half.num_things == 1
    assert half.where(PixelClass.THING, PixelClass.SKY).sum() == 4


def test_what_is_taken_away_has_no_class() -> None:
    classes = PixelClasses(torch.full((2, 3), int(PixelClass.THING), dtype=torch.uint8), torch.ones(2, 3, dtype=torch.int16))
    gone = torch.zeros(2, 3, dtype=torch.bool)
    gone[0] = True
    left = classes.without(gone)
    assert left.labels.tolist() == [[0, 0, 0], [5, 5, 5]]
    assert left.things.tolist() == [[0, 0, 0], [1, 1, 1]]
