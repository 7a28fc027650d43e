"""How far down a thing goes that stands on something."""

from __future__ import annotations

import torch
from splatmem.edit.foot import foot_of
from splatmem.geometry.cameras import identity_camera

DOWN = torch.tensor([0.0, 1.0, 0.0])


def test_a_base_whose_depth_runs_over_into_the_table_is_of_the_thing_and_the_table_is_not() -> None:
    camera = identity_camera(60.0, 96, 64)
    rows = torch.arange(64.0)[:, None].expand(64, 96)
    table = camera.focal[0, 1] * 0.3 / (rows + 0.5 - 32).clamp_min(1.0)
    depth = torch.minimum(table, torch.tensor(3.0))
    body, base = (slice(16, 44), slice(40, 56)), (slice(44, 50), slice(40, 56))
    depth[body] = table[50, 0]  # depth of the base is the table's
    rgb = torch.full((64, 96, 3), 0.6)
    rgb[body] = rgb[base] = 0.05
    found = torch.zeros(64, 96, dtype=torch.bool)
    found[body] = True
    foot = foot_of(found, rgb, depth, camera, DOWN, (30, 48))
    assert foot[base].float().mean() > 0.9
    beside = foot.clone()
    beside[:51, 38:58] = False
    assert not beside.any()
