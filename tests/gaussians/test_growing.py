"""A scene that grows at its end is what joining everything anew gives, and older scenes stay what they were."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.growing import Appender


def gaussians(count: int, seed: int, features: int | None = None) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(count, *shape, generator=generator) for shape in ((3,), (4,), (3,), (), (1, 3))]
    scene = Gaussians(*values)
    return scene if features is None else replace(scene, features=torch.randn(count, features, generator=generator))


def same(a: Gaussians, b: Gaussians) -> bool:
    def values(scene: Gaussians) -> dict[str, torch.Tensor]:
        return {f.name: value for f in fields(scene) if (value := getattr(scene, f.name)) is not None}

    return values(a).keys() == values(b).keys() and all(map(torch.equal, values(a).values(), values(b).values()))


@pytest.mark.parametrize("features", [None, 5])
def test_grows_as_joining_anew_would(features: int | None) -> None:
    appender, scene, parts = Appender(), Gaussians.empty(), []
    older: list[tuple[Gaussians, Gaussians]] = []
    for seed, count in enumerate((5, 40, 3, 3, 3, 200, 1, 30)):
        parts.append(gaussians(count, seed, features))
        before, scene = scene, appender.joined(scene, parts[-1])
        whole = Gaussians.cat(parts)
        assert same(scene, whole)
        assert scene.lineage.shared(before.lineage) == len(before)
        older.append((scene, whole))
    assert all(same(scene, whole) for scene, whole in older)
    assert all(scene.lineage.shared(older[-1][0].lineage) == len(scene) for scene, _ in older), "none was touched"


def test_what_is_there_is_not_copied() -> None:
    appender = Appender()
    scene = appender.joined(gaussians(1000, 0), gaussians(10, 1))
    longer = appender.joined(scene, gaussians(10, 2))
    assert longer.means.data_ptr() == scene.means.data_ptr()


def test_branches_do_not_meet() -> None:
    """An older scene that is gone on with, as after an undo, changes nothing of what came after it."""
    appender = Appender()
    scene = appender.joined(gaussians(100, 0), gaussians(3, 1))
    one = appender.joined(scene, gaussians(4, 2))
    other = appender.joined(scene, gaussians(4, 3))
    assert same(one, Gaussians.cat([scene, gaussians(4, 2)]))
    assert same(other, Gaussians.cat([scene, gaussians(4, 3)]))


def test_other_values_are_taken() -> None:
    appender = Appender()
    scene = appender.joined(gaussians(100, 0), gaussians(3, 1))
    recoloured = scene.recoloured(scene.sh + 1, 100, 103)
    longer = appender.joined(recoloured, gaussians(4, 2))
    assert same(longer, Gaussians.cat([recoloured, gaussians(4, 2)]))
    assert same(scene, Gaussians.cat([gaussians(100, 0), gaussians(3, 1)]))
    longer.means[7] += 1.0
    assert longer.lineage.shared(scene.lineage) == 0, "a change in place is noticed"
    assert same(appender.joined(longer, gaussians(2, 3)), Gaussians.cat([longer, gaussians(2, 3)]))


def test_other_kinds_are_joined_as_before() -> None:
    appender = Appender()
    wide = replace(gaussians(3, 1), sh=torch.ones(3, 4, 3))
    assert same(appender.joined(gaussians(5, 0), wide), Gaussians.cat([gaussians(5, 0), wide]))
    featured = gaussians(3, 1, features=2)
    assert appender.joined(gaussians(5, 0), featured).features is None
    leaf = replace(gaussians(5, 0), means=torch.zeros(5, 3, requires_grad=True))
    assert appender.joined(leaf, gaussians(2, 1)).means.requires_grad
