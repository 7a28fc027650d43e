"""The training of the embedded depth model: its loss, its data, and a run that is interrupted, resumed and exported."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from splatmem.depth import load_depth_estimator

TOOL = Path(__file__).parents[2] / "tools" / "train_depth.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_depth", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for room in range(3):
        rgb = rng.integers(0, 256, (2, 48, 80, 3), dtype=np.uint8)
        depth = rng.integers(0, 5000, (2, 48, 80)).astype(np.uint16)
        np.savez(folder / f"room{room:05d}_0.npz", rgb=rgb, depth_mm=depth)
    whole = (folder / "room00000_0.npz").read_bytes()
    (folder / "room00099_0.npz").write_bytes(whole[: len(whole) // 2])
    return folder


class TestLoss:
    depth = torch.rand(2, 32, 48, generator=torch.Generator().manual_seed(0)) * 3 + 1
    no_sky = torch.full((2, 32, 48), -20.0)

    def test_is_nothing_for_the_truth(self, tool: ModuleType) -> None:
        assert tool.depth_loss(self.depth.log(), self.no_sky, self.depth).item() < 1e-5

    def test_scale_costs_little_and_shape_much(self, tool: ModuleType) -> None:
        scaled = tool.depth_loss(self.depth.log() + 0.3, self.no_sky, self.depth).item()
        flat = tool.depth_loss(torch.zeros_like(self.depth), self.no_sky, self.depth).item()
        assert scaled == pytest.approx(0.03, abs=1e-4)
        assert flat > 10 * scaled

    def test_depth_of_sky_does_not_count(self, tool: ModuleType) -> None:
        depth = self.depth.clone()
        depth[:, :10] = 0
        sky_logits = torch.where(depth > 0, -20.0, 20.0)
        predicted = self.depth.log()
        predicted[:, :10] = 9.0
        assert tool.depth_loss(predicted, sky_logits, depth).item() < 1e-5
        assert tool.depth_loss(predicted, -sky_logits, depth).item() > 1


def test_batches_keep_picture_and_depth_together(tool: ModuleType) -> None:
    """Of a picture whose brightness is its depth, crops still are."""
    ramp = torch.linspace(0, 1, 256).expand(144, 256)
    frames = {"rgb": (ramp[None, ..., None] * 255).byte().expand(1, 144, 256, 3), "depth": (1000 + ramp[None] * 5000).int()}
    rgb, depth = tool.augmented_batch(frames, 6, np.random.default_rng(0), (64, 96), (0.6, 1.0))
    assert rgb.shape == (6, 3, 64, 96)
    assert depth.shape == (6, 64, 96)
    assert rgb.abs().max() <= 1
    for picture, truth in zip(rgb.mean(1), depth, strict=True):
        together = torch.corrcoef(torch.stack([picture.flatten(), truth.flatten()]))[0, 1]
        assert together > 0.8


def test_unit_variances_change_nothing_and_fit_half_precision(tool: ModuleType) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.Conv2d(4, 2, 3, bias=False), torch.nn.BatchNorm2d(2),
    ).eval()  # fmt: skip
    layers[1].running_var.copy_(torch.tensor([1e-3, 1.0, 50.0, 9e4]))
    layers[1].running_mean.normal_(std=100)
    x = 300 * torch.randn(1, 3, 12, 12)
    with torch.no_grad():
        before = layers(x)
        tool.set_unit_variances(layers)
        torch.testing.assert_close(layers(x), before, rtol=1e-4, atol=1e-4)
    assert all(torch.isfinite(value.half()).all() for value in layers.state_dict().values())


def test_run_resume_export(
    tool: ModuleType, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "HELD_OUT_ROOMS", 1)
    monkeypatch.setattr(tool, "WHOLE", (64, 96))
    monkeypatch.setattr(tool, "DETAIL", (64, 96))
    out = tmp_path / "run"

    def options(**changes: object):
        return tool.Options(clips=clips, out=out, batch=1, views=2, **changes)

    tool.main(options(seconds=1.0))
    first = torch.load(out / "checkpoint.pt", weights_only=True)
    tool.main(options(seconds=first["spent"] + 1.0))
    second = torch.load(out / "checkpoint.pt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert second["spent"] > first["spent"]
    printed = capsys.readouterr().out
    assert "skipped room00099_0.npz" in printed
    assert "4 frames, 2 held out" in printed
    tool.main(options(export=tmp_path / "model"))
    prediction = load_depth_estimator(str(tmp_path / "model"))(torch.rand(1, 40, 60, 3))
    assert prediction.depth.shape == (1, 40, 60)
