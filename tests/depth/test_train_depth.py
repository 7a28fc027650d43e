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

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from depth_crops import Look, batch, cropped, damaged

import depth_frames
import pack_frames
from depth_frames import FrameFolders, Frames, decode_depth, encode_depth, unpack
from depth_loss import beside_steps, depth_loss

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

    def test_is_nothing_for_the_truth(self) -> None:
        assert depth_loss(self.depth.log(), self.no_sky, self.depth).item() < 1e-5

    def test_scale_costs_little_and_shape_much(self) -> None:
        scaled = depth_loss(self.depth.log() + 0.3, self.no_sky, self.depth).item()
        flat = depth_loss(torch.zeros_like(self.depth), self.no_sky, self.depth).item()
        assert scaled == pytest.approx(0.03, abs=1e-4)
        assert flat > 10 * scaled

    def test_depth_of_sky_does_not_count(self) -> None:
        depth = self.depth.clone()
        depth[:, :10] = 0
        sky_logits = torch.where(depth > 0, -20.0, 20.0)
        predicted = self.depth.log()
        predicted[:, :10] = 9.0
        assert depth_loss(predicted, sky_logits, depth).item() < 1e-5
        assert depth_loss(predicted, -sky_logits, depth).item() > 1

    def test_an_error_beside_a_step_costs_more(self) -> None:
        depth = torch.full((1, 24, 32), 4.0)
        depth[..., 16:] = 1.0
        near, far = depth.log(), depth.log()
        near[..., 16:19] += 0.2
        far[..., 26:29] += 0.2
        no_sky = torch.full((1, 24, 32), -20.0)
        assert depth_loss(near, no_sky, depth) > 1.05 * depth_loss(far, no_sky, depth)

    def test_steps_and_the_border_of_sky_are_found(self) -> None:
        depth = torch.full((1, 12, 20), 2.0)
        depth[..., 10:] = 3.0
        sky = torch.zeros(1, 12, 20, dtype=torch.bool)
        sky[:, :3] = True
        found = beside_steps(depth.log(), sky)[0]
        assert found[8, 8:12].all()
        assert not found[8, :7].any()
        assert not found[8, 13:].any()
        assert found[3, 2]


def ramp() -> tuple[np.ndarray, np.ndarray]:
    """A picture whose brightness is its depth."""
    shade = np.broadcast_to(np.linspace(0, 1, 256), (144, 256))
    return np.repeat((shade * 255).astype(np.uint8)[..., None], 3, axis=2), (1000 + shade * 5000).astype(np.uint16)


def test_batches_keep_picture_and_depth_together() -> None:
    frames = Frames()
    frames.add("room", *(array[None] for array in ramp()))
    rgb, depth = batch(frames, 6, np.random.default_rng(0), (64, 96), (0.6, 1.0))
    assert rgb.shape == (6, 3, 64, 96)
    assert depth.shape == (6, 64, 96)
    assert rgb.abs().max() <= 1
    for picture, truth in zip(rgb.mean(1), depth, strict=True):
        together = torch.corrcoef(torch.stack([picture.flatten(), truth.flatten()]))[0, 1]
        assert together > 0.8


def test_portrait_crops_keep_their_place() -> None:
    picture, depth = cropped(*ramp(), np.random.default_rng(1), (96, 64), (0.9, 1.0))
    assert picture.shape == (96, 64, 3)
    shade = (depth.astype(float) - 1000) / 5000 * 255
    assert np.abs(picture.mean(2) - shade).max() < 12


def test_damage_stays_within_display_values_and_does_not_move_things() -> None:
    torch.manual_seed(0)
    x = torch.full((4, 3, 40, 60), 0.2)
    x[..., 30:] = 0.8
    for seed in range(5):
        y = damaged(x, np.random.default_rng(seed))
        assert y.min() >= 0
        assert y.max() <= 1
        assert (y[..., 32:].mean((1, 2, 3)) > y[..., :28].mean((1, 2, 3)) + 0.05).all()


class TestFrames:
    def test_growing_folders_are_read_once_and_first_scenes_held_out(
        self, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(depth_frames, "HELD_OUT_SCENES", 1)
        folders = FrameFolders([clips], views=8)
        folders.read()
        assert (len(folders.training), len(folders.held_out)) == (4, 2)
        assert "skipped room00099_0.npz" in capsys.readouterr().out
        np.savez(clips / "open00007_0.npz", rgb=np.zeros((3, 48, 80, 3), np.uint8), depth_mm=np.ones((3, 48, 80), np.uint16))
        np.savez(clips / "open00008_0.npz", rgb=np.zeros((5, 48, 80, 3), np.uint8), depth_mm=np.ones((5, 48, 80), np.uint16))
        folders.read()
        assert (len(folders.training), len(folders.held_out)) == (9, 5)
        assert sorted(folders.training.by_kind) == ["open", "room"]

    def test_packed_depth_is_within_two_percent(self) -> None:
        depth = np.concatenate([[0], np.geomspace(101, 64_900, 500)]).round().astype(np.uint16)
        back = decode_depth(encode_depth(depth))
        assert back[0] == 0
        np.testing.assert_allclose(back[1:], depth[1:], rtol=0.02)

    def test_packed_file_keeps_within_its_size(self, clips: Path, tmp_path: Path) -> None:
        out = tmp_path / "frames.zip"
        pack_frames.main(pack_frames.Options(frames=(clips,), out=out, megabytes=10))
        training, held_out = unpack(out)
        assert len(training) + len(held_out) == 6
        pack_frames.main(pack_frames.Options(frames=(clips,), out=out, megabytes=0.03))
        assert out.stat().st_size <= 30_000


def test_kept_weights_lie_between_before_and_after(tool: ModuleType, tmp_path: Path) -> None:
    before = tool.new_model("bilinear")
    before.save_pretrained(tmp_path)
    after = {
        name: value + 1 if value.is_floating_point() else value for name, value in tool.new_model("convex").state_dict().items()
    }
    mixed = tool.kept(after, tool.Options(start=tmp_path, keep=0.25))
    name = "head.0.weight"
    torch.testing.assert_close(mixed[name], 0.75 * after[name] + 0.25 * before.state_dict()[name])
    assert mixed["enlarge.weights.0.weight"] is after["enlarge.weights.0.weight"]
    assert tool.kept(after, tool.Options()) is after
    with pytest.raises(ValueError, match="--start"):
        tool.kept(after, tool.Options(keep=0.5))


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
    monkeypatch.setattr(depth_frames, "HELD_OUT_SCENES", 1)
    monkeypatch.setattr(tool, "WHOLE", Look(((64, 96),), (0.7, 1.0)))
    monkeypatch.setattr(tool, "DETAIL", Look(((64, 96),), (0.6, 0.9)))
    out = tmp_path / "run"

    def options(**changes: object):
        return tool.Options(frames=(clips,), out=out, batch=1, views=2, **changes)

    tool.main(options(minutes=0.03))
    first = torch.load(out / "checkpoint.pt", weights_only=True)
    tool.main(options(minutes=first["spent"] / 60 + 0.03))
    second = torch.load(out / "checkpoint.pt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert second["spent"] > first["spent"]
    printed = capsys.readouterr().out
    assert "skipped room00099_0.npz" in printed
    assert "4 frames, 2 held out" in printed
    tool.main(options(export=tmp_path / "model", pieces=True))
    pieces = sorted((tmp_path / "model").glob("model.safetensors.*"))
    assert b"".join(piece.read_bytes() for piece in pieces) == (tmp_path / "model" / "model.safetensors").read_bytes()
    prediction = load_depth_estimator(str(tmp_path / "model"))(torch.rand(1, 40, 60, 3))
    assert prediction.depth.shape == (1, 40, 60)
