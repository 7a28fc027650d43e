"""What goes on behind a thing ends where the photo shows that it ends."""

import torch
from splatmem.depth.behind import continue_behind

HEIGHT, WIDTH, ROOF, HOUSE = 60, 80, 20, 10.0
ROWS = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH)
COLUMNS = torch.arange(WIDTH).expand(HEIGHT, WIDTH)


def test_a_wall_goes_no_higher_than_the_sky_beside_it_lets_it() -> None:
    depth = torch.where(ROWS < ROOF, torch.inf, HOUSE)
    hole = COLUMNS < 40
    behind = continue_behind(depth, ~hole, hole, torch.full_like(depth, 2.0))
    assert torch.isinf(behind.depth[hole & (ROWS < ROOF)]).all()
    assert torch.allclose(behind.depth[hole & (ROWS >= ROOF)], torch.tensor(HOUSE), rtol=0.05)


def test_a_sky_far_beside_a_thing_is_behind_it() -> None:
    depth = torch.where(ROWS < ROOF, torch.inf, HOUSE)
    hole = (COLUMNS > 30) & (COLUMNS < 50)
    near = (COLUMNS > 20) & (COLUMNS < 60)
    known = ~near
    behind = continue_behind(depth, known, hole, torch.full_like(depth, 2.0), picture_width=40)
    assert torch.isinf(behind.depth[hole & (ROWS < ROOF)]).all()


def test_beyond_what_hides_it_a_wall_may_go_on() -> None:
    depth = torch.where(ROWS < ROOF, torch.inf, HOUSE)
    hole, blocked = (COLUMNS >= 10) & (COLUMNS < 40) & (ROWS < ROOF + 4), (COLUMNS < 10) & (ROWS < ROOF + 4)
    known, front = ~hole & ~blocked, torch.full_like(depth, 2.0)
    through, hidden = (continue_behind(depth, known, hole, front, blocked=part).depth for part in (None, blocked))
    left = (ROWS < ROOF) & (ROWS >= ROOF - 6) & (COLUMNS >= 10) & (COLUMNS < 20)
    assert torch.isinf(through[left]).all()
    assert torch.isfinite(hidden[left]).all()


def test_a_trunk_goes_on_behind_a_sign_before_the_sky() -> None:
    trunk = (COLUMNS >= 36) & (COLUMNS < 44)
    depth = torch.where(trunk, HOUSE, torch.inf)
    hole = (ROWS >= 27) & (ROWS < 33) & (COLUMNS >= 34) & (COLUMNS < 46)
    behind = continue_behind(depth, ~hole, hole, torch.full_like(depth, 2.0))
    assert ((behind.depth[hole & trunk] - HOUSE).abs() < 0.5).float().mean() > 0.9


def test_ground_ends_at_the_horizon() -> None:
    horizon = 30
    ground = horizon <= ROWS
    depth = torch.where(
        ground, 300.0 / (ROWS + 1.0), 12.0
    )  # a slope, by the depth model: it would meet the wall above the horizon
    hole = (COLUMNS >= 25) & (COLUMNS < 55)
    drop = (ROWS - horizon + 0.5) / HEIGHT
    front = torch.full_like(depth, 2.0)
    above = hole & (ROWS >= 25) & ~ground
    sloping, level = (continue_behind(depth, ~hole, hole, front, ground, drop=told) for told in (None, drop))
    assert (sloping.label[above] == 1).any()
    assert (level.label[above] > level.num_level).all()
    assert (level.label[hole & ground] == 1).float().mean() > 0.95
