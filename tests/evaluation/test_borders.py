import math

import pytest
import torch
from splatmem.evaluation.borders import border_f1, borders
from splatmem.evaluation.photo import photo_figures
from splatmem.evaluation.scenes import Scene, Truth
from splatmem.memory import SpatialMemory

from textured_room import turn

HEIGHT, WIDTH = 40, 60
ALL = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)


def step(at: int, near: float = 1.0, far: float = 2.0) -> torch.Tensor:
    return torch.where(torch.arange(WIDTH) < at, near, far).expand(HEIGHT, WIDTH).clone()


def test_a_border_lies_at_the_near_side_of_a_step():
    found = borders(step(30))
    assert found[:, 29].all()
    assert found.sum() == HEIGHT
    assert borders(step(30, 2.0, 1.0))[:, 30].all()
    assert borders(step(30, far=math.inf))[:, 29].all()
    assert not borders(step(30, far=1.09)).any()
    assert not borders(torch.full((HEIGHT, WIDTH), torch.inf)).any()


@pytest.mark.parametrize(("shift", "f1"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_a_border_may_be_a_pixel_off(shift, f1):
    assert border_f1(step(30 + shift), step(30), ALL) == f1


def test_one_border_missed_is_as_bad_as_one_too_many():
    doubled = step(30)
    doubled[:, 45:] = 4.0
    assert border_f1(step(30), doubled, ALL) == pytest.approx(2 * 0.5 / 1.5)
    assert border_f1(doubled, step(30), ALL) == pytest.approx(2 * 0.5 / 1.5)


def test_a_soft_step_is_worse_than_a_sharp_one():
    soft = torch.nn.functional.avg_pool1d(step(30)[None].log(), 13, 1, 6, count_include_pad=False)[0].exp()
    assert border_f1(soft, step(30), ALL) < 0.3


def test_where_nothing_is_known_nothing_counts():
    measured = ALL.clone()
    measured[:, 28:31] = False
    assert math.isnan(border_f1(step(30), step(30), measured))
    assert math.isnan(border_f1(step(30), torch.ones(HEIGHT, WIDTH), ALL))
    assert border_f1(torch.ones(HEIGHT, WIDTH), step(30), ALL) == 0


def test_the_photos_depth_is_judged_as_it_was_lifted():
    camera = turn(1, WIDTH, HEIGHT)
    rgb, truth = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0)), step(30)
    memory = SpatialMemory()
    lifted = torch.where(truth > 1, 1.1 * truth, truth)
    lifted[:, :15] = torch.inf
    memory.write(rgb, lifted, camera, ALL)
    depth = Truth(camera, rgb[None], truth[None], ALL[None])
    figures = photo_figures(memory, None, Scene("step", rgb, camera, truth, ALL, depth))
    assert figures["photo_depth_delta1"] == pytest.approx(0.75)
    assert figures["photo_depth_abs_rel"] == pytest.approx(0.25 * 1 + 0.5 * 0.1)
    assert figures["photo_border_f1"] == pytest.approx(2 / 3, abs=0.02)  # the sky's border is none
    assert figures["photo_bend"] is None
    assert figures["photo_bend_true_depth"] is None


def test_the_rulers_own_error_is_told():
    camera = turn(1, 192, 108)
    rgb, ripple = torch.full((108, 192, 3), 0.2), 1 + 0.1 * torch.sin(torch.arange(108) / 12)[:, None]
    rgb[8:100, 50:150] = 0.8
    everything, truth = torch.ones(108, 192, dtype=torch.bool), torch.full((108, 192), 2.0)
    memories = SpatialMemory(), SpatialMemory()
    for memory, depth in zip(memories, (truth * ripple, truth), strict=True):
        memory.write(rgb, depth, camera, everything)
    scene = Scene("wall", rgb, camera, truth, everything, Truth(camera, rgb[None], truth[None], everything[None]))
    figures = photo_figures(*memories, scene)
    assert figures["photo_bend_true_depth"] < 0.003 < figures["photo_bend"]
    assert figures["photo_bent_share_true_depth"] == 0
