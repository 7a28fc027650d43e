"""A device whose memory is full, played by a pipeline that says so: less is tried, then it is said what would fit, and what was
made is kept."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from splatmem.cli import main as cli
from splatmem.memory.session import load_session

import tiny_models
from forked_commands import PHOTO


class FullDevice:
    """Lets the pipeline run ``runs`` times in frames of at most ``pixels``, and then not any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs, self.pixels, self.tried = 10**6, 10**9, []
        call = StableDiffusionInpaintPipeline.__call__

        @functools.wraps(call)
        def __call__(pipeline, **options):
            self.tried.append(options["height"] * options["width"])
            self.runs -= self.tried[-1] <= self.pixels
            if self.runs < 0 or self.tried[-1] > self.pixels:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nOf the allocated memory ...")
            return call(pipeline, **options)

        monkeypatch.setattr(StableDiffusionInpaintPipeline, "__call__", __call__)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FullDevice:
    return FullDevice(monkeypatch)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sd_inpaint(tmp_path_factory.mktemp("sd") / "sd")


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.depth_anything(tmp_path_factory.mktemp("depth") / "depth")


@pytest.fixture
def run(model: Path, depth_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*options: str) -> tuple[int, str]:
        arguments = [
            "flyaround", str(PHOTO), "--out", str(tmp_path / "out"), "--size", "96x64", "--frames", "6", "--path", "turn",
            "--set", f"inpainter.model={model}", "--set", "inpainter.steps=1", "--set", "inpainter.min_pixels=200000",
            "--set", f"depth.model={depth_model}", *options,
        ]  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        return int(stop.value.code or 0), capsys.readouterr().err

    return run


def test_what_was_made_is_kept_and_a_resumed_run_ends(device: FullDevice, run, tmp_path: Path) -> None:
    device.runs = 2
    status, printed = run()
    assert status == 2
    (error,) = [line for line in printed.splitlines() if line.startswith("error")]
    assert "cpu has too little memory for 1 frames of" in error
    assert "(CUDA out of memory. Tried to allocate 20.00 GiB.)" in error
    limit = int(error.split("--set inpainter.max_pixels=")[1].split(";")[0])
    assert limit < 100_000
    assert error.endswith("; --resume goes on with that")
    assert "Traceback" not in printed
    kept, progress = load_session(tmp_path / "out.partial" / "memory")
    assert len(progress["windows"]) == 2
    assert len(kept.views) == 3
    assert not (tmp_path / "out").exists()

    device.runs, device.pixels = 10**6, limit
    status, printed = run("--resume", "--low-vram", "--set", f"inpainter.max_pixels={limit}")
    assert status == 0, printed
    finished, _ = load_session(tmp_path / "out" / "memory")
    assert all(torch.equal(a.rgb, b.rgb) for a, b in zip(kept.views, finished.views, strict=False))
    assert max(device.tried[-2:]) <= limit


def test_frames_are_retried_smaller_and_the_report_says_so(device: FullDevice, run, tmp_path: Path) -> None:
    device.pixels = 60_000
    status, printed = run("--frames", "2")
    assert status == 0, printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert device.tried[0] > 2 * 60_000
    assert any(note.startswith("memory ran out: frames were filled at") for note in report["notes"])
    assert report["peak_gpu_bytes"] is None, "there is no GPU"


def test_other_settings_may_not_change(device: FullDevice, run) -> None:
    device.runs = 1
    run()
    status, printed = run("--resume", "--set", "inpainter.steps=2")
    assert status == 2
    assert "begun with other options (inpainter.steps = 1)" in printed


def test_a_full_device_outside_of_the_windows(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from splatmem.depth.huggingface import HuggingFaceDepth

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(HuggingFaceDepth, "_predict", full)
    status, printed = run()
    assert status == 2
    assert "cpu has too little memory (CUDA out of memory.): give --low-vram, or give --set " in printed
    assert list(tmp_path.iterdir()) == []
