"""Small things before the sky stay on what carries them."""

import torch
from splatmem.depth.perched import perch

HEIGHT, WIDTH, HOUSE = 90, 160, 10.0


def street() -> torch.Tensor:
    depth = torch.full((HEIGHT, WIDTH), torch.inf)
    depth[40:, 30:120] = HOUSE
    return depth


def test_a_chimney_is_as_far_as_its_house() -> None:
    depth = street()
    depth[32:40, 70:78] = 6.0
    perched = perch(depth)
    assert torch.allclose(perched[32:40, 70:78], torch.tensor(HOUSE))
    perched[32:40, 70:78] = 6.0
    assert torch.equal(perched, depth)


def test_a_branch_that_the_photo_cuts_off_stays_near() -> None:
    depth = street()
    depth[:40, 70:76] = 2.0
    assert torch.equal(perch(depth), depth)


def test_a_lamp_before_a_wall_stays_near() -> None:
    depth = street()
    depth[60:66, 70:76] = 6.0
    assert torch.equal(perch(depth), depth)


def test_a_large_thing_stays_where_it_is() -> None:
    depth = street()
    depth[10:40, 50:100] = 6.0
    assert torch.equal(perch(depth), depth)
