"""The road through CUDA and Apple's GPU, on a device that is pretended: see ``pretend_device`` for what that shows."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from splatmem.cli.doctor import examine
from splatmem.config import HardwareConfig, InpainterConfig, Offload
from splatmem.explore.beginnings import begin_posed_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit
from splatmem.gaussians.contributions import contributions
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.refine import fit_features, refine
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import load_inpainter
from splatmem.jobs.flyaround import flyaround
from splatmem.jobs.options import FlyaroundOptions
from splatmem.jobs.run_state import save_run
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session
from splatmem.metrics import psnr
from splatmem.models.hardware import place
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw
from splatmem.timing import StageClock
from torch import Tensor

import tiny_models
from forked_commands import PHOTO
from gsplat_on_cpu import drawn_on_cpu, kernels_in_torch
from partial_windows import window
from pretend_device import PretendDevice, pretended
from render.oracle import random_cameras, random_scene
from scene_folders import there_and_back
from textured_room import RoomDepth, room, turn

FAMILIES = {
    "wan_vace": tiny_models.wan_vace, "sd_inpaint": tiny_models.sd_inpaint, "flux_fill": tiny_models.flux_fill,
    "depth_anything": tiny_models.depth_anything,
}  # fmt: skip


@pytest.fixture
def cuda() -> Iterator[PretendDevice]:
    with pretended("cuda") as device:
        yield device


@pytest.fixture(scope="module", autouse=True)
def little_to_collect() -> Iterator[None]:
    """Models that are let go have the garbage collected: quickly, without all that was loaded before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: save(root / name) for name, save in FAMILIES.items()}


class TestThePretendedDevice:
    """It refuses what devices refuse: else the other tests would show nothing."""

    @pytest.mark.parametrize("kind", ["cuda", "mps"])
    def test_refusals(self, kind: str) -> None:
        with pretended(kind):
            there = torch.rand(3, 4, device=kind)
            assert (there.device.type, there.is_cuda) == (kind, kind == "cuda")
            assert torch.equal((there + torch.tensor(1.0)).cpu(), there.cpu() + 1)
            for mixed in (lambda: there + torch.ones(4), lambda: torch.cat([there, torch.ones(3, 4)])):
                with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
                    mixed()
            with pytest.raises(RuntimeError, match="indices should be either on cpu"):
                torch.ones(3)[torch.tensor([0], device=kind)]
            with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
                there[torch.tensor([0, 1])] = torch.ones(2, 4)
            there[torch.tensor([0, 1])], there[2] = 5.0, torch.arange(4.0)
            assert there.cpu()[1:].tolist() == [[5.0] * 4, [0.0, 1.0, 2.0, 3.0]]
            with pytest.raises(TypeError, match=r"convert .* device type tensor to numpy"):
                there.numpy()
            with pytest.raises(RuntimeError, match=f"Expected a '{kind}' device type for generator"):
                torch.rand(3, generator=torch.Generator(), device=kind)
        with pretended("mps"), pytest.raises(TypeError, match="doesn't support float64"):
            torch.rand(3, dtype=torch.float64).to("mps")

    def test_what_lies_there_is_counted(self, cuda: PretendDevice) -> None:
        there = torch.zeros(1000, device="cuda")
        assert (cuda.held_bytes, torch.cuda.max_memory_allocated()) == (4000, 4000)
        part, more = there[:10], torch.zeros(500, device="cuda")
        assert cuda.held_bytes == 6000, "a view takes no room"
        del there, more
        assert cuda.held_bytes == 4000
        del part
        assert (cuda.held_bytes, torch.cuda.max_memory_allocated()) == (0, 6000)
        torch.cuda.reset_peak_memory_stats()
        assert torch.cuda.max_memory_allocated() == 0


@pytest.fixture
def gaussians() -> Gaussians:
    scene = random_scene(60, 3, seed=1)
    sh = 0.2 * torch.randn(60, 4, 3, generator=torch.Generator().manual_seed(0))
    return Gaussians(scene.means, scene.quats, scene.scales.log(), logit(scene.opacities), sh)


@pytest.fixture
def cameras() -> Cameras:
    return Cameras(*random_cameras(2, 24, 16), 24, 16)


def on(device: str, tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.to(device)


class TestThroughGsplat:
    """gsplat's own code with its kernels in plain torch draws what the kernels for the CPU draw."""

    @pytest.mark.parametrize("bands", [1, 4])
    @pytest.mark.parametrize("extra", [None, torch.rand(60, 5), torch.rand(2, 60, 20)])
    @pytest.mark.parametrize("background", [None, torch.tensor([0.2, 0.3, 0.4])])
    @pytest.mark.parametrize("backfacing", [False, True])
    def test_views(
        self, cuda: PretendDevice, gaussians: Gaussians, cameras: Cameras, bands: int, extra: Tensor | None,
        background: Tensor | None, backfacing: bool,
    ) -> None:  # fmt: skip
        gaussians = replace(gaussians, sh=gaussians.sh[:, :bands])
        ours = rasterize(gaussians, cameras, extra=extra, background=background, backfacing=backfacing)
        with kernels_in_torch():
            theirs = rasterize(
                gaussians.to("cuda"),
                cameras.to("cuda"),
                extra=on("cuda", extra),
                background=on("cuda", background),
                backfacing=backfacing,
            )
        for name, drawn in vars(theirs).items():
            if drawn is None:
                assert getattr(ours, name) is None
            else:
                assert drawn.is_cuda
                torch.testing.assert_close(drawn.cpu(), getattr(ours, name), atol=1e-4, rtol=0)

    def test_contributions(self, cuda: PretendDevice, gaussians: Gaussians, cameras: Cameras) -> None:
        weights = torch.rand(2, 16, 24)
        with kernels_in_torch():
            theirs = contributions(gaussians.to("cuda"), cameras.to("cuda"), weights)
            some = contributions(gaussians.to("cuda"), cameras.to("cuda"), weights, chosen=(20, 50))
        torch.testing.assert_close(theirs.cpu(), contributions(gaussians, cameras, weights), atol=1e-4, rtol=0)
        torch.testing.assert_close(some.cpu(), contributions(gaussians, cameras, weights)[:, 20:50], atol=1e-4, rtol=0)

    def test_fits(self, cuda: PretendDevice, gaussians: Gaussians, cameras: Cameras) -> None:
        camera, target, distance = cameras[0], torch.rand(16, 24, 3), 1 + torch.rand(16, 24)
        gaussians = replace(gaussians, features=torch.rand(60, 5))
        there, camera_there = gaussians.to("cuda"), camera.to("cuda")
        with kernels_in_torch():
            fitted = refine(there, (10, 40), target.to("cuda"), distance.to("cuda"), camera_there, steps=3)
            wanted = torch.ones(16, 24, dtype=torch.bool, device="cuda")
            featured = fit_features(there, 30, torch.ones(16, 24, 5, device="cuda"), wanted, camera)
        ours = refine(gaussians, (10, 40), target, distance, camera, steps=3)
        assert (ours.sh - gaussians.sh).abs().max() > 0.01
        for name in ("sh", "opacity_logits", "log_scales"):
            torch.testing.assert_close(getattr(fitted, name).cpu(), getattr(ours, name), atol=1e-4, rtol=0)
        expected = fit_features(gaussians, 30, torch.ones(16, 24, 5), wanted.cpu(), camera).features
        torch.testing.assert_close(featured.features.cpu(), expected, atol=2e-3, rtol=0)


def test_a_memory_on_cuda_reads_as_one_on_the_cpu(cuda: PretendDevice) -> None:
    """Its Gaussians lie there; what goes in and comes out lies in main memory."""
    cameras = turn(24, 64, 36)
    seen, cells = room().render(cameras), cameras.resized(8, 5)
    readings = []
    for device in ("cpu", "cuda"):
        memory = SpatialMemory(Gaussians.empty(device))
        with drawn_on_cpu() as calls:
            for index in (0, 1):
                unknown = ~memory.read(cameras[index]).known[0] if index else torch.ones(36, 64, dtype=torch.bool)
                memory.write(seen.rgb[index], seen.depth[index], cameras[index], unknown)
                memory.refine(3)
            memory.write_features(torch.rand(5, 8, 4, generator=torch.Generator().manual_seed(0)), cells[0], cameras[0])
            readings.append([memory.read(cameras[[0, 1, 2]]), memory.read(cells[[0, 1]], features=True)])
            memory.retention_psnr()
        assert bool(calls) == (device == "cuda")
        assert memory.gaussians.means.device.type == device
        assert memory.feature_gaussians is not None
        assert memory.feature_gaussians.means.device.type == device
    for ours, theirs in zip(*readings, strict=True):
        for name, value in vars(theirs).items():
            if value is not None:
                assert value.device.type == "cpu"
                torch.testing.assert_close(value, getattr(ours, name), atol=2e-3, rtol=0, msg=name)


def test_posed_pictures_begin_a_memory_on_cuda(cuda: PretendDevice) -> None:
    cameras = there_and_back(8, 64, 36, sway=1.0)[[0, 1, 2]]
    seen = room().render(cameras)
    depths = {device: [] for device in ("cpu", "cuda")}
    for device, read in depths.items():
        with drawn_on_cpu():
            memory = begin_posed_memory(
                seen.rgb, cameras, RoomDepth(cameras[0]), ExploreSettings(photo_refine_steps=2), StageClock(), device
            ).memory
            read += [memory.read(cameras).depth, memory.gaussians.means.device.type]
    assert [read[1] for read in depths.values()] == ["cpu", "cuda"]
    torch.testing.assert_close(depths["cuda"][0], depths["cpu"][0], rtol=1e-3, atol=1e-3)


OFFLOADS: list[tuple[str, Offload]] = [
    ("cuda", "none"), ("cuda", "model"), ("cuda", "sequential"), ("cuda", "group"), ("mps", "sequential"),
]  # fmt: skip


@pytest.mark.parametrize("family", ["wan_vace", "sd_inpaint", "flux_fill"])
def test_pipelines_make_the_same_pictures_on_devices_however_they_are_offloaded(models: dict[str, Path], family: str) -> None:
    """By diffusers' and accelerate's own hooks, at work, twice; half precision besides, which differs by rounding."""
    settings = InpainterConfig(model=str(models[family]), steps=1)
    partial = window(5 if family == "wan_vace" else 1, 32, 48, trust=0.3)

    def made(device: str, hardware: HardwareConfig) -> tuple[Tensor, set[str]]:
        inpainter: Any = load_inpainter(settings, device=device, hardware=hardware)
        pictures = [inpainter(partial, generator=torch.Generator().manual_seed(0), prompt="a room").rgb for _ in range(2)]
        assert torch.equal(*pictures)
        parts = [part for part in inpainter.pipeline.components.values() if isinstance(part, torch.nn.Module)]
        return pictures[0], {weight.device.type for part in parts for weight in part.parameters()}

    expected, _ = made("cpu", HardwareConfig())
    for kind, offload in OFFLOADS:
        with pretended(kind) as device:
            picture, places = made(kind, HardwareConfig(offload=offload, dtype="float32"))
        assert device.calls > 500
        torch.testing.assert_close(picture, expected, rtol=0, atol=1e-5)
        # Between its uses a model waits in main memory; its modules hold nothing where they are given each layer in turn.
        assert places == {"none": {kind}, "sequential": {"meta"}}.get(offload, {"cpu"})
    with pretended("mps"):
        half, _ = made("mps", HardwareConfig())
    assert 0 < (half - expected).abs().max() < 0.1


def test_offloading_lowers_the_peak(models: dict[str, Path], cuda: PretendDevice) -> None:
    peaks = {}
    for offload in ("none", "model", "group", "sequential"):
        hardware = HardwareConfig(offload=offload, dtype="float32", tiling=True)
        inpainter = load_inpainter(InpainterConfig(model=str(models["sd_inpaint"]), steps=1), device="cuda", hardware=hardware)
        torch.cuda.reset_peak_memory_stats()
        inpainter(window(1, 16, 16), generator=torch.Generator().manual_seed(0))
        peaks[offload] = torch.cuda.max_memory_allocated()
        del inpainter
    assert peaks["none"] > 1.2 * peaks["model"]
    assert peaks["model"] > 1.2 * peaks["group"]
    assert peaks["sequential"] < 1.1 * peaks["group"]


def test_windows_that_do_not_fit_are_made_in_shorter_parts(models: dict[str, Path]) -> None:
    """On a device that is full for 9 frames, not for 5; and on one that is full for any."""
    settings = InpainterConfig(model=str(models["wan_vace"]), steps=1, window_frames=9)

    def made(frames: int, memory: float = math.inf) -> tuple[Tensor, list[str], int]:
        with pretended("cuda") as device:
            inpainter = load_inpainter(settings, device="cuda", hardware=HardwareConfig(dtype="float32"))
            inpainter(window(1, 16, 16), generator=torch.Generator().manual_seed(0))  # the text encoder is let go
            torch.cuda.reset_peak_memory_stats()
            device.memory = memory
            filled = inpainter(window(frames, 48, 64), generator=torch.Generator().manual_seed(0))
            return filled.rgb, inpainter._notes, device.peak_bytes

    needed = {frames: made(frames)[2] for frames in (5, 9)}
    between = (needed[5] + needed[9]) / 2
    rgb, notes, peak = made(9, between)
    assert notes == ["memory ran out: windows were filled in parts of 5 frames"]
    assert needed[5] <= peak <= between < needed[9]
    partial = window(9, 48, 64)
    assert torch.equal(rgb[partial.known], partial.rgb[partial.known])
    with pytest.raises(ValueError, match=r"too little memory for 5 frames of 3072 pixels .*; give --low-vram, or --set"):
        made(9, 0.9 * needed[5])


def test_models_that_cannot_be_grouped_are_offloaded_layer_by_layer(models: dict[str, Path], cuda: PretendDevice) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(models["sd_inpaint"])
    pipeline.vae._supports_group_offloading = False
    place(pipeline, HardwareConfig(offload="group"), "cuda")
    assert {name for name, weight in pipeline.unet.named_parameters() if weight.device.type != "meta"} == set()
    assert pipeline._execution_device.type == "cuda"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    keyframes = [{"position": [0, 0, 0], "look_at": [0, 0, 2]}, {"position": [0.1, 0, 0], "look_at": [0.7, 0, 2]}]
    (tmp_path / "path.json").write_text(json.dumps({"frames": 4, "keyframes": keyframes}))
    return tmp_path / "path.json"


@pytest.mark.parametrize(
    ("kind", "preset", "family", "options", "low_vram"),
    [
        ("cuda", "embedded", None, [], False),
        ("cuda", "wan-vace-1.3b", "wan_vace", ["inpainter.window_frames=5", "inpainter.conditioning=latents"], True),
        ("mps", "sdxl-inpaint", "sd_inpaint", ["inpainter.min_pixels=null", "hardware.offload=sequential"], True),
    ],
)
def test_the_whole_job(
    models: dict[str, Path], tmp_path: Path, path: Path, kind: str, preset: str, family: str | None, options: list[str],
    low_vram: bool,
) -> None:  # fmt: skip
    """With the number format that the device gets by itself."""
    overrides = [] if family is None else [
        f"inpainter.model={models[family]}", f"depth.model={models['depth_anything']}", "inpainter.steps=1", *options
    ]  # fmt: skip
    request = FlyaroundOptions(
        source=PHOTO, out=tmp_path / "out", path=str(path), size=(104, 72), device=kind, preset=preset, prompt="a room",
        overrides=tuple(overrides), low_vram=low_vram,
    )  # fmt: skip
    with pretended(kind) as device, drawn_on_cpu() as calls:
        report = flyaround(request, settings=ExploreSettings(photo_refine_steps=3, refine_steps=2))
        assert device.calls > 500
    assert report["device"] == kind
    assert report["windows"] > 0
    assert bool(calls) == (kind == "cuda"), "Gaussians are drawn by gsplat on CUDA, by the CPU's kernels otherwise"
    assert report["peak_gpu_bytes"] == (device.peak_bytes if kind == "cuda" else None)
    assert kind != "cuda" or report["peak_gpu_bytes"] > report["gaussians"] * 14 * 4
    memory, _ = load_session(tmp_path / "out" / "memory")
    assert psnr(memory.read(memory.views[0].camera).rgb[0], memory.first_photo) > 25
    assert report["unknown_fraction"] < 0.02


def test_without_gsplats_kernels_the_cpu_draws(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a GPU and no CUDA toolkit."""
    for module in ("splatmem.models.hardware", "splatmem.scene.beginnings"):
        monkeypatch.setattr(f"{module}.why_gsplat_cannot_draw", lambda: "gsplat found no CUDA toolkit")
    request = FlyaroundOptions(source=PHOTO, out=tmp_path / "out", path=str(path), size=(104, 72), device="cuda")
    with pretended("cuda") as device:
        report = flyaround(request, settings=ExploreSettings(refine_steps=1))
    assert device.peak_bytes == report["peak_gpu_bytes"] > 0
    assert "cuda ran the models, the CPU drew the Gaussians: gsplat found no CUDA toolkit" in report["notes"]


@pytest.mark.parametrize(("kernels", "reason"), [(object(), None), (None, "gsplat found no CUDA toolkit (nvcc)")])
def test_whether_gsplat_can_draw(monkeypatch: pytest.MonkeyPatch, kernels: object, reason: str | None) -> None:
    monkeypatch.setattr("gsplat.cuda._backend", SimpleNamespace(_C=kernels), raising=False)
    told = why_gsplat_cannot_draw.__wrapped__()
    assert told is None if reason is None else reason in told


def test_doctor_tells_what_gsplat_lacks(cuda: PretendDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.utils.cpp_extension.CUDA_HOME", None)
    (found,) = [finding for finding in examine() if finding.name == "GPU (CUDA with gsplat)"]
    assert not found.usable
    assert "there is no CUDA toolkit" in found.state
    assert "install the toolkit (nvcc)" in found.advice


def test_an_interrupted_run_on_cuda_goes_on_there(tmp_path: Path, cuda: PretendDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ExploreSettings(refine_steps=1)
    request = FlyaroundOptions(source=PHOTO, out=tmp_path / "out", frames=4, size=(96, 64), device="cuda")

    def save_and_stop(*state: Any) -> None:
        save_run(*state)
        raise KeyboardInterrupt

    with drawn_on_cpu() as calls:
        monkeypatch.setattr("splatmem.jobs.flyaround.save_run", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            flyaround(request, settings=settings)
        monkeypatch.undo()
        calls.clear()
        report = flyaround(replace(request, resume=True), settings=settings)
    assert calls
    assert report["windows"] > 0
    assert report["peak_gpu_bytes"] == cuda.peak_bytes
