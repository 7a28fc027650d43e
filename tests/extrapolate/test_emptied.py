import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.emptied import in_the_open, prominent, removable, sun

HEIGHT, WIDTH = 54, 96
LEVEL_DEPTH = torch.full((HEIGHT, WIDTH), 3.0)  # nothing stands out


def room(**things: tuple[slice, slice]) -> PixelClasses:
    """Wall over floor, and things of which each has its own number."""
    labels = torch.full((HEIGHT, WIDTH), int(PixelClass.WALL), dtype=torch.uint8)
    labels[40:] = PixelClass.FLOOR
    numbers = torch.zeros(HEIGHT, WIDTH, dtype=torch.int16)
    for number, place in enumerate(things.values(), start=1):
        labels[place], numbers[place] = PixelClass.THING, number
    return PixelClasses(labels, numbers)


def meadow(**things: tuple[slice, slice]) -> PixelClasses:
    """Sky over ground, and things of which each has its own number."""
    classes = room(**things)
    labels = torch.where(classes.labels == int(PixelClass.WALL), int(PixelClass.SKY), classes.labels)
    return PixelClasses(torch.where(labels == int(PixelClass.FLOOR), int(PixelClass.GROUND), labels).byte(), classes.things)


def test_a_room_is_made_without_its_things() -> None:
    vase, table = (slice(10, 25), slice(60, 66)), (slice(30, 50), slice(20, 80))
    classes = room(table=table, vase=vase)
    assert torch.equal(removable(classes, LEVEL_DEPTH, open_air=False), classes.things > 0)


def test_in_the_open_all_things_go_where_ground_is_left() -> None:
    dog, hedge = (slice(5, 20), slice(60, 66)), (slice(30, 50), slice(20, 80))
    gone = removable(meadow(hedge=hedge, dog=dog), LEVEL_DEPTH, open_air=True)
    assert gone[dog].all()
    assert gone[hedge].all()
    assert not gone[:, :15].any()
    assert not gone[:, 85:].any()


def test_what_grows_in_the_open_goes_on() -> None:
    classes = meadow()
    bush = slice(30, 45), slice(20, 80)
    classes.labels[bush] = PixelClass.VEGETATION
    assert not removable(classes, LEVEL_DEPTH, open_air=True).any()


def test_a_building_goes_where_ground_is_left_and_stays_where_none_is() -> None:
    labels = torch.full((HEIGHT, WIDTH), int(PixelClass.SKY), dtype=torch.uint8)
    labels[35:] = PixelClass.GROUND
    house = slice(15, 40), slice(20, 70)
    labels[house] = PixelClass.WALL
    classes = PixelClasses(labels, torch.zeros(HEIGHT, WIDTH, dtype=torch.int16))
    assert in_the_open(classes, LEVEL_DEPTH, metric=False)
    known_again = prominent(classes, LEVEL_DEPTH, open_air=True)
    assert torch.equal(known_again, classes.where(PixelClass.WALL))
    assert torch.equal(removable(classes, LEVEL_DEPTH, open_air=True), known_again)
    labels[35:] = PixelClass.WALL
    assert not removable(classes, LEVEL_DEPTH, open_air=True).any()


def test_what_comes_nearer_towards_its_foot_is_no_house() -> None:
    classes = meadow()
    lake = slice(15, 40), slice(20, 70)
    classes.labels[lake] = PixelClass.WALL
    nearer = torch.linspace(2, 0, HEIGHT).exp()[:, None].expand(HEIGHT, WIDTH)
    assert not prominent(classes, nearer, open_air=True).any()


def test_a_sun_in_a_blue_sky_is_found_and_a_white_sky_is_none() -> None:
    rgb = torch.tensor([0.4, 0.6, 0.9]).repeat(HEIGHT, WIDTH, 1)
    sky = torch.full((HEIGHT, WIDTH), torch.inf)
    assert not sun(rgb, sky).any()
    disc = slice(10, 14), slice(20, 24)
    rgb[disc] = 1.0
    found = sun(rgb, sky)
    assert found[disc].all()
    assert found.float().mean() < 0.05
    assert not sun(rgb, torch.where(found, 3.0, sky)).any()
    assert not sun(torch.ones(HEIGHT, WIDTH, 3), sky).any()
    rgb[30:32, 10:90] = 1.0  # a cloud
    assert not sun(rgb, sky).any()


def test_a_room_is_not_the_open_air() -> None:
    classes = room(vase=(slice(10, 25), slice(60, 66)))
    assert not in_the_open(classes, LEVEL_DEPTH, metric=True)
    assert not in_the_open(classes, 20 * LEVEL_DEPTH, metric=False)


def test_what_is_as_far_away_as_no_wall_is_the_open_air() -> None:
    assert in_the_open(room(), 20 * LEVEL_DEPTH, metric=True)
