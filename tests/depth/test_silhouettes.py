import torch
from splatmem.depth.silhouettes import with_rims

HEIGHT, WIDTH = 40, 60


def scene(grown: int, thing_colour: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth and picture of a square before a grey wall; the picture shows it larger than the depth by ``grown`` pixels."""
    depth = torch.full((HEIGHT, WIDTH), 3.0)
    depth[12:28, 20:40] = 2.0
    picture = 0.5 + 0.05 * torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    picture[12 - grown : 28 + grown, 20 - grown : 40 + grown] = torch.tensor(thing_colour)
    return depth, picture


def test_the_rim_of_a_thing_gets_the_depth_of_the_thing() -> None:
    depth, picture = scene(2)
    whole = torch.full_like(depth, 3.0)
    whole[10:30, 18:42] = 2.0
    assert torch.equal(with_rims(depth, picture), whole)


def test_a_step_where_colours_change_stays() -> None:
    depth, picture = scene(0)
    assert torch.equal(with_rims(depth, picture), depth)


def test_colours_that_both_sides_have_tell_nothing() -> None:
    depth, picture = scene(2, (0.52, 0.52, 0.52))
    assert torch.equal(with_rims(depth, picture), depth)


def test_sky_beside_a_thing() -> None:
    depth, picture = scene(1)
    depth[depth == 3.0] = torch.inf
    made = with_rims(depth, picture)
    assert (made[11:29, 19:41] == 2.0).all()
    assert torch.isinf(made).sum() == HEIGHT * WIDTH - 18 * 22


def test_a_slanted_surface_stays() -> None:
    depth = torch.linspace(1, 6, WIDTH).expand(HEIGHT, WIDTH).contiguous()
    picture = torch.zeros(HEIGHT, WIDTH, 3)
    picture[:, ::7] = 1.0
    assert torch.equal(with_rims(depth, picture), depth)
