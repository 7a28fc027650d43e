import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth.silhouettes import with_rims
from torch import Tensor

HEIGHT, WIDTH = 40, 60


def scene(grown: int, colour: tuple[float, float, float] = (0.8, 0.1, 0.1), times: int = 1) -> tuple[Tensor, Tensor]:
    """Depth and picture of a square before a grey wall; the picture shows it larger than the depth by ``grown`` pixels.

    Args:
        colour: of the square.
        times: so many times as large.
    """
    depth = torch.full((times * HEIGHT, times * WIDTH), 3.0)
    depth[12 * times : 28 * times, 20 * times : 40 * times] = 2.0
    picture = 0.5 + 0.05 * torch.rand(*depth.shape, 3, generator=torch.Generator().manual_seed(0))
    picture[12 * times - grown : 28 * times + grown, 20 * times - grown : 40 * times + grown] = torch.tensor(colour)
    return depth, picture


def classes_of(depth: Tensor) -> PixelClasses:
    thing = depth == 2.0
    labels = torch.where(thing, int(PixelClass.THING), int(PixelClass.WALL)).to(torch.uint8)
    return PixelClasses(labels, thing.to(torch.int16))


def rims(depth: Tensor, picture: Tensor) -> Tensor:
    return with_rims(depth, classes_of(depth), picture)[0]


def test_the_rim_of_a_thing_gets_depth_and_class_of_the_thing() -> None:
    depth, picture = scene(2)
    whole = torch.full_like(depth, 3.0)
    whole[10:30, 18:42] = 2.0
    made, classes = with_rims(depth, classes_of(depth), picture)
    assert torch.equal(made, whole)
    assert torch.equal(classes.labels, classes_of(whole).labels)
    assert torch.equal(classes.things, classes_of(whole).things)


def test_in_a_larger_picture_rims_are_wider() -> None:
    depth, picture = scene(4, times=10)
    whole = torch.full_like(depth, 3.0)
    whole[116:284, 196:404] = 2.0
    assert torch.equal(rims(depth, picture), whole)


def test_a_step_where_colours_change_stays() -> None:
    depth, picture = scene(0)
    assert torch.equal(rims(depth, picture), depth)


def test_colours_that_both_sides_have_tell_nothing() -> None:
    depth, picture = scene(2, (0.52, 0.52, 0.52))
    assert torch.equal(rims(depth, picture), depth)


def test_sky_beside_a_thing() -> None:
    depth, picture = scene(1)
    depth[depth == 3.0] = torch.inf
    made = rims(depth, picture)
    assert (made[11:29, 19:41] == 2.0).all()
    assert torch.isinf(made).sum() == HEIGHT * WIDTH - 18 * 22


def test_a_slanted_surface_stays() -> None:
    depth = torch.linspace(1, 6, WIDTH).expand(HEIGHT, WIDTH).contiguous()
    picture = torch.zeros(HEIGHT, WIDTH, 3)
    picture[:, ::7] = 1.0
    assert torch.equal(rims(depth, picture), depth)


def test_a_halo_on_a_thing_goes_back_to_what_is_behind_it() -> None:
    depth, picture = scene(0)
    picture[12:14, 20:40] = picture[26:28, 20:40] = 0.5
    whole = depth.clone()
    whole[12:14, 20:40] = whole[26:28, 20:40] = 3.0
    made, classes = with_rims(depth, classes_of(depth), picture)
    assert torch.equal(made, whole)
    assert torch.equal(classes.labels, classes_of(whole).labels)


def test_a_pixel_that_shows_some_of_both_goes_to_the_thing() -> None:
    depth, picture = scene(0)
    mixed = 0.5 * (picture[28, 20:40] + picture[27, 20:40])
    picture[28, 20:40] = mixed
    assert (rims(depth, picture)[28, 21:39] == 2.0).float().mean() > 0.8
    assert (rims(depth, picture)[29, 21:39] == 3.0).all()
