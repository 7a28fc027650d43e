"""The stages that measure a GPU, tiny: on the CPU, and on a CUDA device that is pretended."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from splatmem.bench import Row, architectures, ltx_family, windows
from splatmem.bench.context import Context
from splatmem.bench.making import Maker
from splatmem.inpaint.diffusers.budget import Budget
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.diffusers.windows import memory_note
from splatmem.inpaint.protocol import FilledFrames

from gpu_bench import embedded, film, parity
from gpu_bench.results import Results
from gsplat_on_cpu import kernels_in_torch
from measure_gpu import STAGES
from pretend_device import pretended

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "measure_gpu.py"
WINDOWS: dict[str, Callable[[Context], None]] = {
    "wan": windows.wan_small, "wan in groups": windows.wan_small_low_vram, "wan, large": windows.wan_large,
    "wan for 8 GB": windows.wan_small_8gb, "wan, large, at 720p": windows.wan_large_720p,
    "wan in few steps": windows.wan_small_few_steps, "wan 2.2": windows.wan22,
    "sdxl": windows.sdxl, "sdxl in groups": windows.sdxl_low_vram, "flux": windows.flux,
}  # fmt: skip
LIKE_ANOTHER = ("wan, large, at 720p", "sdxl in groups")  # at another size, or with what another has alone


@pytest.fixture(autouse=True)
def nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretended device computes at once."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def rows_of(stage: Callable[[Context], None], device: str, folder: Path) -> list[Row]:
    rows: list[Row] = []
    stage(Context(device, tiny=True, work=folder, record=rows.append, ends=time.monotonic() + 600))
    return rows


def check_windows(rows: list[Row]) -> None:
    timed = [row for row in rows if "frames" in row]
    assert timed
    for row in timed:
        assert row["finite"]
        assert 2 <= row["steps run"] < row["steps of the preset"]
        assert min(row["step, s"], row["encode, s"], row["decode, s"]) > 0
        assert row["window, s (computed)"] > row["steps of the preset"] * row["step, s"] + row["decode, s"]


@pytest.mark.parametrize("name", ["sdxl", "flux"])  # Wan's runs there in the next two tests
def test_windows_on_the_cpu(name: str, tmp_path: Path) -> None:
    check_windows(rows_of(WINDOWS[name], "cpu", tmp_path))


def test_windows_by_a_quantised_transformer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU alone: its weights are tensors of a kind of their own, which no device can be pretended for."""
    made: list[torch.nn.Module] = []
    quantised = windows.quantised
    monkeypatch.setattr(windows, "quantised", lambda *given: made.append(quantised(*given)) or made[-1])
    check_windows(rows_of(windows.wan_small_quantised, "cpu", tmp_path))
    kinds = [parameter.dtype for parameter in made[0].parameters() if parameter.ndim == 2]
    assert kinds.count(torch.uint8) > len(kinds) // 2


def test_ways_to_be_faster(tmp_path: Path) -> None:
    """What this machine has not is said, and the next way is tried."""
    made, *rows = rows_of(windows.wan_small_faster, "cpu", tmp_path)
    assert made["made, s"] > 0
    check_windows([row for row in rows if "answer" not in row])
    assert [row["setting"] for row in rows] == ["attention=_native_math"] * 2 + ["attention=sage"]
    assert "sageattention" in rows[-1]["answer"]
    assert list(windows.FASTER)[-1] == "compile", "compiled blocks stay so"


def test_what_no_card_has_shown_comes_first_and_the_longest_last() -> None:
    order = list(STAGES)
    assert order[0] == "prepare"
    assert order[-1] == "wan-14b-720p"
    assert set(order[1:5]) == {"wan-1.3b-low-vram", "wan-1.3b-8gb", "wan-1.3b-quantised", "sdxl-low-vram"}
    for place in STAGES.values():
        module, function = place.split(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LIKE_ANOTHER else []) for name in WINDOWS]
)
def test_windows_on_a_pretended_device(name: str, tmp_path: Path) -> None:
    with pretended("cuda") as device:
        rows = rows_of(WINDOWS[name], "cuda", tmp_path)
        assert device.calls > 500
    check_windows(rows)
    assert all(row["peak, GiB"] > 0 for row in rows if "frames" in row)


def test_a_window_that_shrank_is_not_taken_for_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = WanVACEInpainter.__call__

    def shrunk(*args: Any, **options: Any) -> FilledFrames:
        return replace(fill(*args, **options), notes=(memory_note(Budget(17, None)),))

    monkeypatch.setattr(WanVACEInpainter, "__call__", shrunk)
    with pretended("cuda"), pytest.raises(RuntimeError, match="memory ran out"):
        rows_of(windows.wan_small, "cuda", tmp_path)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_depth(device: str, tmp_path: Path) -> None:
    if device == "cuda":
        with pretended("cuda"):
            rows = rows_of(windows.depth, device, tmp_path)
    else:
        rows = rows_of(windows.depth, device, tmp_path)
    assert [row["pictures"] for row in rows] == [1, 4]
    assert all(row["picture, s"] > 0 for row in rows)


def test_parity(tmp_path: Path) -> None:
    rows = rows_of(parity.run, "cpu", tmp_path)
    assert all(row["agrees"] for row in rows)
    assert len(rows) == 8


def test_parity_on_a_pretended_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "CASES", parity.CASES[:5])
    with pretended("cuda"), kernels_in_torch():
        rows = rows_of(parity.run, "cuda", tmp_path)
    assert [row["answer"] for row in rows if "answer" in row] == ["refused", "refused"]


def test_parity_that_is_broken_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = parity.rasterization

    def darker(*args, **options):
        image, *rest = drawn(*args, **options)
        return 0.99 * image, *rest

    monkeypatch.setattr(parity, "rasterization", darker)
    rows: list[Row] = []
    with pytest.raises(RuntimeError, match="RGB"):
        parity.run(Context("cpu", True, tmp_path, rows.append, math.inf))
    assert any(not row["agrees"] for row in rows)


def test_a_comparison_that_fails_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = parity.rasterization

    def refusing(*args, **options):
        assert options.get("render_mode") != "RGB", "no colours"
        return drawn(*args, **options)

    monkeypatch.setattr(parity, "rasterization", refusing)
    rows: list[Row] = []
    with pytest.raises(RuntimeError, match="RGB"):
        parity.run(Context("cpu", True, tmp_path, rows.append, math.inf))
    assert len(rows) == 8
    failed = [row["case"] for row in rows if "error" in row]
    assert failed[0] == "RGB"
    assert len(failed) < 3
    assert all("no colours" in row["error"] for row in rows if "error" in row)


def test_the_job_and_its_film(tmp_path: Path) -> None:
    warm_up, job, seconds = rows_of(embedded.run, "cpu", tmp_path)
    assert warm_up["total, s"] > 0
    assert job["gaussians"] > 1000
    assert seconds["total, s"] > seconds["fill, s"] > 0
    scene, picture = rows_of(film.run, "cpu", tmp_path)
    assert scene["gaussians"] == job["gaussians"]
    assert scene["bandwidth, GB/s"] > 0
    assert picture["drawn, frames/s"] > 0
    assert picture["bound, frames/s"] == pytest.approx(scene["bandwidth, GB/s"] * 1e3 / picture["MB to move per frame"])


def test_whichever_job_is_last_is_compared_with_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = embedded.flyaround
    reports: list[dict[str, Any]] = []

    def made_once(out: Path, device: str, **options: Any) -> dict[str, Any]:
        if not reports:
            reports.append(make(out=tmp_path / "once", device="cpu", **options))
        shutil.copytree(tmp_path / "once", out, dirs_exist_ok=True)
        return reports[0]

    monkeypatch.setattr(embedded, "flyaround", made_once)
    monkeypatch.setattr(embedded, "WARM_UP", (2, 64, 64))
    first, *others = (rows_of(stage, "cuda", tmp_path) for stage in (embedded.run, embedded.run_on_cpu, embedded.run))
    assert len(first) == 3
    for rows in others:
        *_, there, on_cpu, films = rows
        assert (there.pop("device"), on_cpu.pop("device")) == ("cuda", "cpu")
        assert there == on_cpu
        assert films["film on the device against the CPU's, mean dB"] >= films["least, dB"] > 60


def test_a_film_without_a_job(tmp_path: Path) -> None:
    scene, picture = rows_of(film.run, "cpu", tmp_path)
    assert scene["gaussians"] > 500
    assert picture["drawn, frames/s"] > 0


@pytest.mark.parametrize(
    ("build", "billions"),
    [
        pytest.param(lambda make: architectures.wan_transformer("1.3b", make), 2.154, id="wan-1.3b"),
        pytest.param(lambda make: architectures.wan_transformer("14b", make), 17.338, id="wan-14b"),
        pytest.param(lambda make: architectures.wan_autoencoder(False, make), 0.127, id="wan-autoencoder"),
        pytest.param(lambda make: architectures.umt5(False, make), 5.681, id="umt5"),
        pytest.param(lambda make: architectures.sdxl_inpaint(False, make).unet, 2.568, id="sdxl"),
        pytest.param(lambda make: architectures.flux_fill(False, make).transformer, 11.902, id="flux-fill"),
        pytest.param(lambda make: architectures.flux_depth(False, make).transformer, 11.901, id="flux-depth"),
        pytest.param(lambda make: architectures.z_image(False, make).transformer, 6.155, id="z-image"),
        pytest.param(lambda make: architectures.z_image(False, make).text_encoder, 4.022, id="qwen3-4b"),
        pytest.param(lambda make: architectures.qwen_image(False, make).transformer, 20.430, id="qwen-image"),
        pytest.param(lambda make: architectures.qwen_image(False, make).text_encoder, 8.292, id="qwen2.5-vl-7b"),
        pytest.param(lambda make: architectures.qwen_image_edit(False, make).transformer, 20.430, id="qwen-image-edit"),
        pytest.param(lambda make: architectures.flux2_klein(False, make).transformer, 3.876, id="flux2-klein"),
        pytest.param(lambda make: architectures.sd35(False, make).transformer, 2.243, id="sd3.5-medium"),
        pytest.param(lambda make: architectures.depth_anything("large", make)[0], 0.335, id="depth-large"),
        pytest.param(lambda make: architectures.sdxl_controlnet(False, make), 1.251, id="sdxl-controlnet"),
        pytest.param(lambda make: ltx_family.ltx2(False, make).transformer, 18.876, id="ltx-2"),
        pytest.param(lambda make: ltx_family.ltx2(False, make).text_encoder.model.language_model, 11.766, id="gemma3-12b"),
        pytest.param(lambda make: ltx_family.sana_wm(False, make).transformer, 2.662, id="sana-wm"),
        pytest.param(lambda make: ltx_family.sana_wm(False, make).text_encoder, 2.614, id="gemma2-2b"),
    ],
)
def test_the_real_models_have_their_published_size(build: Callable, billions: float) -> None:
    model = build(Maker("meta", torch.bfloat16))
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, abs=1e-3)


def test_a_failed_stage_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    (tmp_path / "work" / "demo-cpu" / "memory").mkdir(parents=True)  # a memory that cannot be read
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--device", "cpu", "--tiny"]
    run = subprocess.run([*command, "--stages", "film", "depth"], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    results = Results.load(tmp_path / "results.json")
    assert (results.status("film"), results.status("depth")) == ("failed", "done"), run.stderr
    assert "demo-cpu" in results.content["stages"]["film"]["error"]
    table = (tmp_path / "results.md").read_text()
    assert "| Depth Anything V2 metric tiny | 64x48 | 4 |" in table

    run = subprocess.run([*command, "--stages", "prepare"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    content = json.loads((tmp_path / "results.json").read_text())
    assert set(content["stages"]) == {"film", "depth", "prepare"}
    assert all(stage["load"] >= 0 for stage in content["stages"].values())
    assert content["machine"]["threads"].endswith("passive where they wait")
    assert "processes." in table


def test_what_is_done_is_left_out_where_a_run_is_resumed(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", {"machine": {}, "stages": {}})
    results.begin("prepare")
    results.end("prepare", "done")
    results.begin("depth")
    results.end("depth", "ended", "killed")
    began = results.content["stages"]["prepare"]["began"]
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--device", "cpu", "--tiny", "--resume"]
    run = subprocess.run([*command, "--stages", "prepare", "depth"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    stages = Results.load(results.file).content["stages"]
    assert stages["prepare"]["began"] == began
    assert (stages["depth"]["status"], len(stages["depth"]["rows"])) == ("done", 2)


def test_windows_of_all_stages_are_in_one_table(tmp_path: Path) -> None:
    row = {
        "preset": "one",
        "setting": "--low-vram",
        "frames": 17,
        "size": "832x480",
        "step, s": 0.5,
        "window, s (computed)": 21.0,
    }
    stages = {name: {"rows": [{"made, s": 1.0}, row | {"peak, GiB": 6.2, "card, GB": 8}], "status": "done"} for name in "ab"}
    results = Results(tmp_path / "results.json", {"machine": {}, "stages": stages})
    assert len(results.windows()) == 2
    assert results.table().count("| one | --low-vram | 17 | 832x480 | 0.5 | 21 | 6.2 | 8 |") == 4


def test_a_stage_out_of_time_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--device", "cpu", "--tiny"]
    run = subprocess.run(
        [*command, "--seconds-per-stage", "0.2", "--stages", "depth", "parity"], capture_output=True, text=True
    )
    assert run.returncode == 1
    results = Results.load(tmp_path / "results.json")
    assert {results.status("depth"), results.status("parity")} == {"out of time"}, run.stderr
