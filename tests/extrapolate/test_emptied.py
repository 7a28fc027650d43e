import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.emptied import in_the_open, prominent, removable

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


def test_where_things_hide_most_of_a_room_only_small_ones_go() -> None:
    sofa, vase = (slice(14, HEIGHT), slice(0, 90)), (slice(2, 10), slice(60, 66))
    gone = removable(room(sofa=sofa, vase=vase), LEVEL_DEPTH, open_air=False)
    assert gone[vase].all()
    assert gone.sum() == gone[vase].sum()


def test_in_the_open_small_things_go_and_wide_ones_belong_to_the_place() -> None:
    dog, hedge = (slice(10, 25), slice(60, 66)), (slice(30, 50), slice(20, 80))
    gone = removable(meadow(hedge=hedge, dog=dog), LEVEL_DEPTH, open_air=True)
    assert gone[dog].all()
    assert not gone[hedge].any()
    assert gone.sum() == gone[dog].sum()


def test_what_stands_on_a_wide_thing_goes_and_its_own_parts_stay() -> None:
    classes = meadow(stage=(slice(30, 50), slice(20, 80)))
    bottle, backdrop = (slice(20, 30), slice(30, 34)), (slice(20, 30), slice(45, 77))
    for place in (bottle, backdrop):
        classes.labels[place], classes.things[place] = PixelClass.THING, 1
    gone = removable(classes, LEVEL_DEPTH, open_air=True)
    assert gone[bottle].all()
    assert not gone[backdrop].any()
    assert not gone[30:50].any()


def test_in_the_open_a_building_stays_whole_and_is_prominent() -> None:
    labels = torch.full((HEIGHT, WIDTH), int(PixelClass.SKY), dtype=torch.uint8)
    labels[35:] = PixelClass.GROUND
    tower, roof, dog = (slice(15, 40), slice(20, 35)), (slice(10, 15), slice(20, 35)), (slice(40, 46), slice(70, 80))
    things = torch.zeros(HEIGHT, WIDTH, dtype=torch.int16)
    labels[tower] = PixelClass.BUILDING
    for number, place in enumerate((roof, dog), start=1):
        labels[place], things[place] = PixelClass.THING, number
    classes = PixelClasses(labels, things)
    assert in_the_open(classes, LEVEL_DEPTH, metric=False)
    gone = removable(classes, LEVEL_DEPTH, open_air=True)
    assert gone[dog].all()
    assert not gone[roof].any()
    known_again = prominent(classes, LEVEL_DEPTH, open_air=True)
    assert known_again[tower].all()
    assert not known_again[:10].any()


def test_a_room_is_not_the_open_air() -> None:
    classes = room(vase=(slice(10, 25), slice(60, 66)))
    assert not in_the_open(classes, LEVEL_DEPTH, metric=True)
    assert not in_the_open(classes, 20 * LEVEL_DEPTH, metric=False)


def test_what_is_as_far_away_as_no_wall_is_the_open_air() -> None:
    assert in_the_open(room(), 20 * LEVEL_DEPTH, metric=True)
