"""Training of the depth model: how frames are read, cropped and damaged, and a training of seconds that resumes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray
from splatmem.depth.embedded.quantized import dequantized, quantize_linears

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import pack_frames
import train_depth
from depth_damage import blocked, blurred, damaged
from depth_frames import FrameFolders, decode_depth, encode_depth, scene_of, unpack
from depth_loss import beside_steps, depth_loss, label_loss, local_error
from depth_store import DETAIL, WHOLE, FrameStore, crop_grids

SIZE = (48, 64)


def frames(count: int, seed: int = 0) -> tuple[ndarray, ndarray, ndarray]:
    rng = np.random.default_rng(seed)
    depth = rng.integers(500, 60_000, (count, *SIZE)).astype(np.uint16)
    depth[:, :4] = 0
    rgb = np.repeat((depth >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    return rgb, depth, np.where(depth == 0, 6, 1).astype(np.uint8)


def write(folder: Path, name: str, seed: int, labels: bool = True) -> None:
    folder.mkdir(exist_ok=True)
    rgb, depth, label = frames(3, seed)
    np.savez_compressed(folder / name, rgb=rgb, depth_mm=depth, **({"labels": label} if labels else {}))


def test_folders_give_each_file_once_and_hold_scenes_out(tmp_path: Path) -> None:
    write(tmp_path, "near000016_0.npz", 0)
    write(tmp_path, "room000001_0.npz", 1, labels=False)
    (tmp_path / "room000002_0.npz").write_bytes(b"damaged")
    folders = FrameFolders([tmp_path], views=2)
    near, room = folders.new()
    assert (near.kind, near.held_out, len(near.rgb)) == ("near", True, 2)
    assert (room.kind, room.held_out, room.labels.max()) == ("room", False, 0)
    assert list(folders.new()) == []
    write(tmp_path, "open000003_0.npz", 2)
    assert [part.kind for part in folders.new()] == ["open"]


def test_names_without_a_number_are_refused() -> None:
    with pytest.raises(ValueError, match="kind and a number"):
        scene_of(Path("frames.npz"))


def test_whole_crop_is_the_frame_itself() -> None:
    store = FrameStore(SIZE, capacity=4, device=torch.device("cpu"))
    rgb, depth, labels = frames(2)
    store.add("room", rgb, depth, labels)
    identity = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (2, 1, 1))
    batch = store.crops([0, 1], SIZE, identity)
    torch.testing.assert_close(batch.depth, torch.from_numpy(depth.astype(np.float32)) / 1000)
    torch.testing.assert_close(batch.rgb.permute(0, 2, 3, 1), torch.from_numpy(rgb).float() / 255)
    assert torch.equal(batch.labels, torch.from_numpy(labels).long())


def test_crops_lie_inside_and_depth_is_never_mixed() -> None:
    store = FrameStore(SIZE, capacity=2, device=torch.device("cpu"))
    rgb, depth, labels = frames(2)
    store.add("near", rgb, depth, labels)
    rng = np.random.default_rng(0)
    for look in (WHOLE, DETAIL):
        affine = crop_grids(SIZE, look.sizes[0], look.share, 50, rng)
        reach = np.abs(affine[:, [0, 1], [0, 1]]) + np.abs(affine[:, :, 2])
        assert reach.max() <= 1 + 1e-9
        batch = store.draw(look, 4, rng)
        assert set(np.unique(batch.depth.numpy())) <= set(np.unique(depth.astype(np.float32) / np.float32(1000)))


def test_a_full_store_takes_no_more() -> None:
    store = FrameStore(SIZE, capacity=4, device=torch.device("cpu"))
    store.add("room", *frames(3))
    store.add("near", *frames(3, 1))
    assert store.counts() == {"near": 1, "room": 3}
    with pytest.raises(ValueError, match="64x48"):
        store.add("room", *(array[:, :40] for array in frames(1)))


def test_damage_keeps_shape_and_range() -> None:
    x = torch.rand(3, 3, 32, 48)
    for seed in range(6):
        y = damaged(x, np.random.default_rng(seed))
        assert y.shape == x.shape
        assert float(y.min()) >= 0
        assert float(y.max()) <= 1
        assert not torch.equal(x, y)


def test_blocks_and_blur_keep_flat_pictures_and_change_others() -> None:
    flat, noisy = torch.full((1, 3, 16, 24), 0.4), torch.rand(1, 3, 16, 24)
    assert float((blocked(flat, 60) - flat).abs().max()) < 0.03
    torch.testing.assert_close(blurred(flat, 1.2), flat)
    fine, coarse = ((blocked(noisy, quality) - noisy).abs().mean() for quality in (95, 25))
    assert coarse > 3 * fine


@pytest.mark.parametrize("transformer", [False, True])
def test_training_of_seconds_resumes_and_exports(tmp_path: Path, transformer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file
    from splatmem.depth.embedded.vision_transformer import VisionTransformer

    monkeypatch.setattr(train_depth, "TRANSFORMER", (64, 4))
    monkeypatch.setattr(train_depth, "TOKENS", (20, 30))
    for look in ("WHOLE", "DETAIL"):
        monkeypatch.setattr(train_depth, look, train_depth.WHOLE.__class__(((48, 64), (48, 40)), (0.6, 1.0)))
    for number in (1, 2, 16):
        write(tmp_path / "frames", f"room{number:06d}_0.npz", number)
    options = {"frames": (tmp_path / "frames",), "size": SIZE, "capacity": 8, "batch": 2, "out": tmp_path / "run", "views": 3}
    if transformer:
        torch.manual_seed(0)
        save_file(VisionTransformer(64, 4).state_dict(), tmp_path / "vit.safetensors")
        options |= {"transformer": tmp_path / "vit.safetensors", "labels": 10}
    train_depth.train(train_depth.Options(minutes=0.02, **options))
    before = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert before["step"] >= 1
    train_depth.train(train_depth.Options(minutes=0.04, **options))
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] > before["step"]
    train_depth.export(train_depth.Options(**options), tmp_path / "model")
    from splatmem.depth import load_depth_estimator

    depth = load_depth_estimator(str(tmp_path / "model"))(torch.rand(1, 40, 56, 3)).depth
    assert depth.shape == (1, 40, 56)


def test_training_without_frames_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"render more with tools/render_frames\.py"):
        train_depth.train(train_depth.Options(frames=(tmp_path,), out=tmp_path / "run", size=SIZE, capacity=1))


def test_damage_does_not_move_things() -> None:
    torch.manual_seed(0)
    x = torch.full((4, 3, 40, 64), 0.2)
    x[..., 32:] = 0.8
    for seed in range(5):
        y = damaged(x, np.random.default_rng(seed))
        assert (y[..., 36:].mean((1, 2, 3)) > y[..., :28].mean((1, 2, 3)) + 0.05).all()


def test_packed_depth_is_within_two_percent() -> None:
    depth = np.concatenate([[0], np.geomspace(101, 64_900, 500)]).round().astype(np.uint16)
    back = decode_depth(encode_depth(depth))
    assert back[0] == 0
    np.testing.assert_allclose(back[1:], depth[1:], rtol=0.02)


def test_packed_file_keeps_within_its_size(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / "frames", f"room{number:06d}_0.npz", number)
    out = tmp_path / "frames.zip"
    pack_frames.main(pack_frames.Options(frames=(tmp_path / "frames",), out=out, megabytes=10))
    assert sum(len(part.rgb) for part in unpack(out)) == 6
    size = out.stat().st_size
    pack_frames.main(pack_frames.Options(frames=(tmp_path / "frames",), out=out, megabytes=0.6 * size / 1e6))
    assert out.stat().st_size <= 0.6 * size


def test_kept_weights_lie_between_before_and_after(tmp_path: Path) -> None:
    before = train_depth.new_model(train_depth.Options(upsampling="bilinear"))
    before.save_pretrained(tmp_path)
    after = {
        name: value + 1 if value.is_floating_point() else value
        for name, value in train_depth.new_model(train_depth.Options(upsampling="convex")).state_dict().items()
    }
    mixed = train_depth.kept(after, train_depth.Options(start=tmp_path, keep=0.25))
    name = "head.0.weight"
    torch.testing.assert_close(mixed[name], 0.75 * after[name] + 0.25 * before.state_dict()[name])
    assert mixed["enlarge.weights.0.weight"] is after["enlarge.weights.0.weight"]
    assert train_depth.kept(after, train_depth.Options()) is after
    with pytest.raises(ValueError, match="--start"):
        train_depth.kept(after, train_depth.Options(keep=0.5))


def test_weights_of_integers_become_plain_ones() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 3))
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    quantize_linears(layers)
    after = dequantized(layers.state_dict())
    assert after.keys() == before.keys()
    for name, value in before.items():
        largest = value.abs().max().item()
        assert (after[name] - value).abs().max().item() <= largest / 127 / 2 + 1e-6


def test_labels_count_where_they_are_known() -> None:
    labels = torch.tensor([[[0, 1], [2, 0]]])
    right = torch.full((1, 3, 2, 2), -20.0)
    right[0, 1, 0, 1] = right[0, 2, 1, 0] = 20.0
    assert label_loss(right, labels).item() < 1e-5
    assert label_loss(-right, labels).item() > 1
    assert label_loss(right, torch.zeros_like(labels)).item() == 0


def test_unit_variances_change_nothing_and_fit_half_precision() -> None:
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
        train_depth.set_unit_variances(layers)
        torch.testing.assert_close(layers(x), before, rtol=1e-4, atol=1e-4)
    assert all(torch.isfinite(value.half()).all() for value in layers.state_dict().values())


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

    def test_a_thing_of_the_wrong_size_costs_little_within_squares_and_a_bent_one_much(self) -> None:
        weight = torch.ones(1, 24, 36)
        blocks = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0))
        blocks = blocks.repeat_interleave(12, 1).repeat_interleave(12, 2)
        assert local_error(blocks, weight, 12) < 1e-6
        assert local_error(blocks, weight, 8) > 0.05
        ramp = torch.linspace(-1, 1, 36).expand(1, 24, 36)
        assert local_error(ramp, weight, 12) == pytest.approx(12 / 36 * 2 / 4, rel=0.05)

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
