"""Tops of tables: found as level surfaces of things, whole behind what stands on them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from splatmem.classes import PixelClass
from splatmem.depth.tops import Top, tops_of_things
from splatmem.geometry.cameras import Cameras

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from solid_scenes import ROOM, Solid, SolidScene

DOWN = torch.tensor([0.0, 1.0, 0.0])
TABLE = Solid("box", (0.0, 0.7, 3.0), (1.0, 0.05, 0.5), (0.4, 0.3, 0.2))
VASE = Solid("cylinder", (0.2, 0.4, 2.9), (0.15, 0.25), (0.2, 0.3, 0.7))


@pytest.fixture(scope="module")
def camera() -> Cameras:
    return Cameras.from_fov(torch.eye(4)[None], 65.0, 192, 108)


def tops(solids: tuple[Solid, ...], camera: Cameras) -> list[Top]:
    _, depth, classes = SolidScene("", solids, ROOM).view(camera)
    return tops_of_things(depth, classes.where(PixelClass.THING), camera, DOWN)


def test_a_top_reaches_behind_what_stands_on_it(camera: Cameras) -> None:
    (top,) = tops((TABLE, VASE), camera)
    _, alone, classes = SolidScene("", (TABLE,), ROOM).view(camera)
    _, _, both = SolidScene("", (TABLE, VASE), ROOM).view(camera)
    hidden = (classes.things == 1) & (both.things == 2) & ((alone - top.depth).abs() < 0.02)
    assert hidden.sum() > 100
    assert (top.reach & hidden).sum() > 0.9 * hidden.sum()
    assert (top.seen & (both.things == 2)).sum() < 0.1 * top.seen.sum(), "only the foot lies in its plane"


def test_a_top_carries_what_stands_on_it_and_not_what_it_stands_on(camera: Cameras) -> None:
    leg = Solid("box", (-0.8, 1.0, 2.6), (0.1, 0.25, 0.1), (0.4, 0.3, 0.2))
    (top,) = tops((TABLE, VASE, leg), camera)
    _, depth, classes = SolidScene("", (TABLE, VASE, leg), ROOM).view(camera)
    assert top.carries(classes.things == 2, depth)
    assert not top.carries(classes.things == 3, depth)


def test_neither_a_floor_nor_what_stands_upright_has_a_top(camera: Cameras) -> None:
    assert tops((Solid("box", (0.0, 0.4, 3.0), (0.5, 0.9, 0.3), (0.4, 0.3, 0.2)),), camera) == []
