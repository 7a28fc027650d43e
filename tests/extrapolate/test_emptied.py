import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.emptied import in_the_open, prominent, removable

HEIGHT, WIDTH = 54, 96


def room(**things: tuple[slice, slice]) -> PixelClasses:
    """Wall over floor, and things of which each has its own number."""
    labels = torch.full((HEIGHT, WIDTH), int(PixelClass.WALL), dtype=torch.uint8)
    labels[40:] = PixelClass.FLOOR
    numbers = torch.zeros(HEIGHT, WIDTH, dtype=torch.int16)
    for number, place in enumerate(things.values(), start=1):
        labels[place], numbers[place] = PixelClass.THING, number
    return PixelClasses(labels, numbers)


def test_small_things_go_and_wide_ones_belong_to_the_place() -> None:
    vase, table = (slice(10, 25), slice(60, 66)), (slice(30, 50), slice(20, 80))
    gone = removable(room(table=table, vase=vase))
    assert gone[vase].all()
    assert not gone[table].any()
    assert gone.sum() == gone[vase].sum()


def test_what_stands_on_a_wide_thing_goes_and_its_own_parts_stay() -> None:
    classes = room(bed=(slice(30, 50), slice(20, 80)))
    bottle, headboard = (slice(20, 30), slice(30, 34)), (slice(20, 30), slice(45, 77))
    for place in (bottle, headboard):
        classes.labels[place], classes.things[place] = PixelClass.THING, 1
    gone = removable(classes)
    assert gone[bottle].all()
    assert not gone[headboard].any()
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
    assert in_the_open(classes)
    gone = removable(classes)
    assert gone[dog].all()
    assert not gone[roof].any()
    known_again = prominent(classes)
    assert known_again[tower].all()
    assert not known_again[:10].any()


def test_a_room_is_not_the_open_air() -> None:
    assert not in_the_open(room(vase=(slice(10, 25), slice(60, 66))))
