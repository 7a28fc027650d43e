"""What of a scene was sent once is not sent again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import rgb_to_sh
from splatmem.live import pieces
from splatmem.live.packing import packed
from splatmem.live.splat_stream import GLOW_SIZE, MOST_GLOWING, glowing
from thing_before_wall import memory


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROWS_PER_PIECE", 64)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**32, (count, 8), dtype=np.uint32)


def together(cut: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate(list(cut.values()))


def test_the_pieces_are_the_scene() -> None:
    scene = rows(5000)
    assert np.array_equal(together(pieces.cut(scene)), scene)
    assert 40 < len(pieces.cut(scene)) < 160
    assert pieces.cut(rows(0)) == {}


def test_what_grew_is_in_pieces_of_its_own() -> None:
    before = rows(5000)
    after = np.concatenate([before, rows(300, seed=1)])
    old, new = pieces.cut(before, [5000]), pieces.cut(after, [5000, 5300])
    assert set(old) <= set(new)
    assert sum(len(new[name]) for name in set(new) - set(old)) == 300


def test_of_what_grew_the_old_is_not_cut_again() -> None:
    before = rows(5000)
    after = np.concatenate([before, rows(300, seed=1)])
    old = pieces.cut(before, [5000])
    assert pieces.cut(after, [5000, 5300], old, 5000).keys() == pieces.cut(after, [5000, 5300]).keys()
    assert pieces.cut(after, [2222, 5000, 5300], old, 5000).keys() == pieces.cut(after, [2222, 5000, 5300]).keys()
    changed = after.copy()
    changed[3000] += 1
    again = pieces.cut(changed, [5000, 5300], old, 3000)
    assert again.keys() == pieces.cut(changed, [5000, 5300]).keys()
    assert np.array_equal(together(again), changed)
    assert np.array_equal(together(pieces.cut(before[:700], [], old, 700)), before[:700])


def test_a_removal_and_its_undoing_change_the_pieces_beside_it_alone() -> None:
    before = rows(5000)
    kept = np.ones(5000, bool)
    kept[[700, 701, 3000]] = False
    old, new = pieces.cut(before), pieces.cut(before[kept])
    assert 1 <= len(set(new) - set(old)) <= 4
    assert pieces.cut(before).keys() == old.keys()


def test_the_same_content_twice_is_two_pieces() -> None:
    scene = rows(500)
    twice = np.concatenate([scene, scene])
    assert np.array_equal(together(pieces.cut(twice, [500])), twice)


def test_rows_hold_what_viser_draws() -> None:
    turned = torch.tensor([[0.9239, 0.0, 0.0, 0.3827]])  # by 45 degrees about z
    gaussians = Gaussians(
        torch.tensor([[1.0, -2.0, 3.0]]), turned, torch.log(torch.tensor([[0.02, 0.01, 0.001]])), torch.tensor([20.0]),
        rgb_to_sh(torch.tensor([[1.0, 0.5, 2.0]])),
    )  # fmt: skip
    row = packed(gaussians, unit=0.01)[0]
    assert np.allclose(row[:3].view(np.float32), [100.0, -200.0, 300.0])
    xx, xy, xz, yy, yz, zz = row[4:7].copy().view(np.float16).tolist()
    assert (xx, xy, yy) == pytest.approx((2.5, 1.5, 2.5), abs=0.01)
    assert (xz, yz, zz) == pytest.approx((0.0, 0.0, 0.01), abs=1e-3)
    assert row[7:8].copy().view(np.uint8).tolist() == [255, 128, 255, 255]


def test_a_large_selection_glows_with_few_splats_that_are_as_much_larger() -> None:
    rows = packed(memory().gaussians, 0.03)
    many = np.tile(rows, (1 + 3 * MOST_GLOWING // len(rows), 1))
    marks, few = glowing(many), glowing(rows)
    assert len(few) == len(rows)
    assert MOST_GLOWING / 2 < len(marks) <= MOST_GLOWING
    every = -(-len(many) // len(marks))
    assert np.array_equal(marks[:, :3], many[::every, :3])

    def sizes(some: np.ndarray) -> np.ndarray:
        return some[:, 4:7].copy().view(np.float16).astype(np.float64)

    assert np.allclose(sizes(marks), every * GLOW_SIZE**2 * sizes(many[::every]), rtol=2e-3, atol=1e-6)
    opacities = [int(some[0, 7:].copy().view(np.uint8)[3]) for some in (marks, few, rows[:10])]
    assert opacities[0] <= opacities[1] <= opacities[2]
    assert opacities[2] > 4 * opacities[0], "ten splats are seen too"
