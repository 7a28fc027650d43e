import torch
from splatmem.depth.sky import plausible_sky
from splatmem.geometry.cameras import identity_camera

CAMERA = identity_camera(60.0, 64, 36)
DOWN = torch.tensor([0.0, 1.0, 0.0])


def test_sky_is_kept_above_the_horizon_only():
    depth = torch.full((36, 64), 3.0)
    depth[:10] = torch.inf
    depth[25:30, 20:40] = torch.inf
    checked = plausible_sky(depth, CAMERA, DOWN)
    assert torch.isinf(checked[:10]).all()
    assert torch.isfinite(checked[20:]).all()
    assert (checked[25:30, 20:40] - 3.0).abs().max() < 1e-3


def test_specks_are_not_sky():
    depth = torch.full((36, 64), 3.0)
    depth[4, 7] = torch.inf
    assert torch.isfinite(plausible_sky(depth, CAMERA, DOWN)).all()


def test_nothing_but_sky_stays():
    depth = torch.full((36, 64), torch.inf)
    assert torch.equal(plausible_sky(depth, CAMERA, DOWN), depth)
