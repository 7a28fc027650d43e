"""What a depth model took for sky beside a thing belongs to the thing."""

import torch
from splatmem.depth.fringes import with_fringes

HEIGHT, WIDTH, TOWER = 90, 160, 5.0
BLUE, BROWN = torch.tensor([0.4, 0.6, 0.95]), torch.tensor([0.45, 0.3, 0.2])


def test_a_tower_takes_its_edge_back_from_the_sky() -> None:
    rgb, depth = BLUE.expand(HEIGHT, WIDTH, 3).clone(), torch.full((HEIGHT, WIDTH), torch.inf)
    rgb[:, 60:84], depth[:, 60:80] = BROWN, TOWER
    rgb[20:23, 120:123] = BROWN  # a bird
    found = with_fringes(depth, rgb)
    assert torch.allclose(found[:, 60:84], torch.tensor(TOWER))
    assert torch.isinf(found[:, 84:]).all()
    assert torch.isinf(found[:, :60]).all()


def test_a_cloud_beside_a_tower_is_sky() -> None:
    rgb, depth = BLUE.expand(HEIGHT, WIDTH, 3).clone(), torch.full((HEIGHT, WIDTH), torch.inf)
    rgb[:, 60:80], depth[:, 60:80] = BROWN, TOWER
    rgb[20:26, 80:84] = 0.95
    assert torch.equal(with_fringes(depth, rgb), depth)
