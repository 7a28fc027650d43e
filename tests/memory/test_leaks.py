import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import identity_camera
from splatmem.memory import SpatialMemory, leaks
from splatmem.memory.free_space import FreeSpace
from splatmem.memory.leaks import STRICT, LeakLimits, cells_seen, leaks_trimmed, part_around, trim_leaks

CAMERA = identity_camera(60.0, 64, 36)


def wall(depth: float = 2.0) -> Gaussians:
    rgb = torch.full((36, 64, 3), 0.4)
    return lift(rgb, torch.full((36, 64), depth), CAMERA, torch.ones(36, 64, dtype=torch.bool))


def spot(x: float, z: float, size: float) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[x, 0.0, z]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.tensor([[size, size, 0.001]]).log(),
        opacity_logits=torch.tensor([3.0]),
        sh=torch.ones(1, 1, 3),
    )


KNOWN = torch.ones(1, 36, 64, dtype=torch.bool)


def test_what_hangs_before_the_known_is_left_out():
    assert len(trim_leaks(wall(), spot(0.0, 1.5, 0.1), CAMERA, KNOWN)) == 0


def test_what_lies_behind_or_beside_stays_as_it_is():
    for harmless in (spot(0.0, 3.0, 0.1), spot(4.0, 2.0, 0.1)):
        kept = trim_leaks(wall(), harmless, CAMERA, KNOWN)
        assert torch.equal(kept.log_scales, harmless.log_scales)


def test_a_rim_that_reaches_into_the_picture_is_drawn_in():
    beside = spot(1.22, 1.98, 0.05)  # the picture ends at 1.155
    before = rasterize(wall(), CAMERA).rgb
    kept = trim_leaks(wall(), beside, CAMERA, KNOWN)
    assert len(kept) == 1
    assert (kept.log_scales[0, :2] < beside.log_scales[0, :2]).all()
    assert kept.log_scales[0, 2] == beside.log_scales[0, 2]
    after, loose = (rasterize(Gaussians.cat([wall(), new]), CAMERA).rgb for new in (kept, beside))
    assert (after - before).abs().sum() < 0.2 * (loose - before).abs().sum()


def test_unknown_pixels_may_be_covered():
    unknown = torch.zeros_like(KNOWN)
    assert len(trim_leaks(wall(), spot(0.0, 1.5, 0.1), CAMERA, unknown)) == 1


def test_what_a_leak_hid_is_found_too() -> None:
    """A small spot in free space, hidden by large ones that are left out."""
    hidden = Gaussians.cat([spot(0.0, 1.40, 0.8), spot(0.0, 1.42, 0.8), spot(0.0, 1.6, 0.03)])
    hidden.opacity_logits[:2] = 5.0
    assert len(trim_leaks(wall(), hidden, CAMERA, KNOWN)) == 0
    trimmed = leaks_trimmed(wall(), hidden, CAMERA, KNOWN, limits=LeakLimits(rounds=1))
    assert trimmed is not None
    assert int(trimmed.kept.sum()) == 1


def test_the_suspected_alone_are_looked_at():
    both = Gaussians.cat([spot(0.0, 1.5, 0.1), spot(0.5, 1.5, 0.1)])
    trimmed = leaks_trimmed(wall(), both, CAMERA, KNOWN, torch.tensor([False, True]))
    assert trimmed is not None
    kept = trimmed.of(both)
    assert torch.equal(kept.means, both.means[:1])
    assert torch.equal(kept.log_scales, both.log_scales[:1])


def test_the_part_of_a_picture_holds_what_is_around_the_added():
    camera = identity_camera(60.0, 256, 144)
    rgb, depth = torch.full((144, 256, 3), 0.4), torch.full((144, 256), 2.0)
    old = lift(rgb, depth, camera, torch.ones(144, 256, dtype=torch.bool))
    part = part_around(spot(0.8, 1.5, 0.01), camera)  # near the right edge
    assert part is not None
    around, _ = part.around(old)
    assert 0 < len(around) < 0.3 * len(old)
    assert part.camera.width < 0.3 * camera.width
    left = round(float(camera.intrinsics[0, 0, 2] - part.camera.intrinsics[0, 0, 2]))
    top = round(float(camera.intrinsics[0, 1, 2] - part.camera.intrinsics[0, 1, 2]))
    seen = camera.project(torch.tensor([[0.8, 0.0, 1.5]]))[0][0, 0] - torch.tensor([left, top])
    assert part.pixels[0, int(seen[1]), int(seen[0])]
    whole = rasterize(old, camera).rgb[:, top : top + part.camera.height, left : left + part.camera.width]
    cut = rasterize(around, part.camera).rgb
    assert (whole - cut)[part.pixels].abs().max() < 1e-3
    assert part_around(spot(9.0, 1.5, 0.01), camera) is None


def test_only_what_lies_where_something_changed_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = identity_camera(60.0, 256, 144)
    rgb, depth = torch.full((144, 256, 3), 0.4), torch.full((144, 256), 2.0)
    old = lift(rgb, depth, camera, torch.ones(144, 256, dtype=torch.bool))
    behind = [spot(0.01 * x, 2.5, 0.002) for x in range(-80, 0)]
    asked = []
    leaking = leaks._leaking

    def counted(scene, added, *rest):
        asked.append((len(scene), len(added)))
        return leaking(scene, added, *rest)

    monkeypatch.setattr(leaks, "_leaking", counted)
    known = torch.ones(1, 144, 256, dtype=torch.bool)
    leak = spot(0.6, 1.5, 0.03)
    leak.opacity_logits[:] = 9.0
    kept = trim_leaks(old, Gaussians.cat([*behind, leak, spot(0.64, 1.6, 0.002)]), camera, known)
    assert len(kept) == len(behind)
    assert asked[0][1] == 82
    assert len(asked) > 1
    assert all(again[0] < 0.3 * len(old) and again[1] == 1 for again in asked[1:])


def test_a_view_that_looks_at_a_corner_of_a_write_is_protected_among_many_that_it_is_hidden_from():
    """Many views from the front, whose wall hides what is added, and one from behind the wall that has some of it before it."""
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    rgb, everything = torch.full((36, 64, 3), 0.4), torch.ones(36, 64, dtype=torch.bool)
    memory.write(rgb, torch.full((36, 64), 2.0), CAMERA, everything)
    for _ in range(12):
        memory.write(rgb, torch.full((36, 64), 2.0), CAMERA, ~everything)
    aside = CAMERA.moved(0.0, 0.0, 4.0).turned(90.0)
    memory.write(rgb, torch.full((36, 64), 3.0), aside, everything)
    before = memory.film(aside)[0]
    in_its_way = aside.cam_to_world[0, :3, 3] + 1.5 * aside.cam_to_world[0, :3, 2]
    hidden = Gaussians.cat([spot(0.1 * x, 8.0, 0.1) for x in range(-4, 5)])
    one = spot(0.0, 1.0, 0.1)
    one.means[0] = in_its_way
    kept = memory._without_leaks(Gaussians.cat([hidden, one]), STRICT)
    assert torch.equal(kept.means, hidden.means)
    memory.gaussians = Gaussians.cat([memory.gaussians, kept])
    assert torch.equal(memory.film(aside)[0], before)


def test_looser_limits_let_more_of_the_added_stay_and_ask_fewer_views():
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    rgb, everything = torch.full((36, 64, 3), 0.4), torch.ones(36, 64, dtype=torch.bool)
    memory.write(rgb, torch.full((36, 64), 2.0), CAMERA, everything)
    aside = CAMERA.moved(0.0, 0.0, 4.0).turned(90.0)
    memory.write(rgb, torch.full((36, 64), 3.0), aside, everything)
    before_the_first, before_the_second = spot(0.0, 1.5, 0.1), spot(0.0, 1.0, 0.1)
    before_the_second.means[0] = aside.cam_to_world[0, :3, 3] + 1.5 * aside.cam_to_world[0, :3, 2]
    added = Gaussians.cat([before_the_first, before_the_second])
    assert len(memory._without_leaks(added, STRICT)) == 0
    assert torch.equal(memory._without_leaks(added, LeakLimits(views=1)).means, before_the_second.means)
    anything = LeakLimits(pixels=1e6)
    assert len(memory._without_leaks(added, anything)) == 2


def test_many_wide_rims_beside_the_picture_do_not_cover_its_edge():
    """What of each reaches into the picture is little of its size; together it would be a bar along the edge."""
    beside = Gaussians.cat([spot(1.155 + 0.04 * (2 + row % 3), 1.9, 0.09) for row in range(12)])
    before = rasterize(wall(), CAMERA).rgb
    kept = trim_leaks(wall(), beside, CAMERA, KNOWN)
    after = rasterize(Gaussians.cat([wall(), kept]), CAMERA).rgb
    assert (after - before).abs().amax() < 0.05


def test_what_may_show_is_told_by_size() -> None:
    memory = SpatialMemory()
    memory.write(torch.full((36, 64, 3), 0.4), torch.full((36, 64), 2.0), CAMERA, KNOWN[0])
    far_beside = torch.tensor([[2.0, 0.0, 2.0]])
    space = memory.free_space()
    assert not space.may_show(far_beside).any()
    assert space.may_show(far_beside, torch.tensor([1.0])).all()


def test_cells_of_a_view_are_seen_from_the_same_place_where_another_view_saw_a_surface() -> None:
    depth = torch.full((36, 64), 2.0)
    depth[:18] = 1e-6  # nothing was known in its upper half then
    other = FreeSpace.of([(CAMERA, depth)])
    same = cells_seen(CAMERA, other)
    assert same[6:-1, 1:-1].all()
    assert not same[:4].any()
    turned = cells_seen(CAMERA.turned(20.0), other)  # its right part lies outside of the other one
    assert turned[6:-1, 1:6].all()
    assert not turned[:, 11:].any()
