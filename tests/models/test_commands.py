"""``splatmem models``: what presets need, what is here, what is wrong with it, and how it is fetched."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import diffusers
import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from splatmem.cli import main as cli
from splatmem.config import load_preset, preset_names
from splatmem.depth import load_depth_estimator
from splatmem.inpaint import load_inpainter
from splatmem.models.needs import needed_models, require_models

import tiny_models
from forked_commands import PHOTO

REVISION = "0" * 40


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.wan_vace(tmp_path_factory.mktemp("wan") / "wan")


@pytest.fixture(scope="module")
def depth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.depth_anything(tmp_path_factory.mktemp("depth") / "depth")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""

    def offline(*_: object, **__: object) -> bool:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "file_exists", offline)
    return tmp_path / "cache"


def put(cache: Path, model: str, folder: Path) -> Path:
    """A model in the cache, as a download leaves it."""
    place = cache / f"models--{model.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(REVISION)
    return shutil.copytree(folder, place / "snapshots" / REVISION)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return int(stop.value.code or 0), " ".join((printed.out + printed.err).split())

    return run


SMALL = ("--set", "inpainter.model=someone/wan", "--set", "depth.model=someone/depth", "--set", "first_frame.model=null")
COMMAND = "splatmem models download wan-vace-1.3b --set inpainter.model=someone/wan --set depth.model=someone/depth"


def truncate(folder: Path) -> Path:
    weights = max(folder.rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    weights.write_bytes(weights.read_bytes()[:-7])
    return weights


def test_list_names_every_preset(cache: Path, run) -> None:
    status, printed = run("models", "list")
    assert status == 0
    for name in preset_names():
        assert name in printed


def test_info_tells_sizes_licences_and_places(cache: Path, wan: Path, run) -> None:
    place = put(cache, "someone/wan", wan)
    status, printed = run("models", "info", "wan-vace-1.3b", *SMALL)
    assert status == 0
    assert "GPU memory: 16 GB (8 with --low-vram)" in printed
    assert f"inpainter: someone/wan licence: Apache-2.0; of what it makes: {'nothing claimed of them'} disk: about" in printed
    assert f"GB in {place}" in printed
    assert "depth model: someone/depth" in printed
    assert printed.endswith("here: no")


def test_what_is_cached_is_whole_and_loads_by_its_id(cache: Path, wan: Path, depth: Path, run) -> None:
    put(cache, "someone/wan", wan)
    put(cache, "someone/depth", depth)
    status, printed = run("models", "check", "wan-vace-1.3b", *SMALL)
    assert status == 0
    assert "inpainter someone/wan: whole, in" in printed
    assert "depth model someone/depth: whole, in" in printed
    assert load_inpainter("someone/wan").name == "wan"


def test_a_truncated_file_is_named(cache: Path, wan: Path, depth: Path, run) -> None:
    weights = truncate(put(cache, "someone/wan", wan))
    put(cache, "someone/depth", depth)
    status, printed = run("models", "check", "wan-vace-1.3b", *SMALL)
    assert status == 2
    size = weights.stat().st_size
    assert f"{weights} is truncated: {size} bytes, {size + 7} expected" in printed
    assert f"To fetch what is missing: {COMMAND}" in printed


def test_a_truncated_file_in_a_local_folder_is_named(wan: Path, tmp_path: Path, run) -> None:
    weights = truncate(shutil.copytree(wan, tmp_path / "wan"))
    status, printed = run("models", "check", "wan-vace-1.3b", "--local", tmp_path / "wan")
    assert status == 2
    assert f"{weights} is truncated" in printed


def test_nothing_is_to_be_fetched_in_place_of_a_folder_of_ones_own(wan: Path, depth: Path, tmp_path: Path, run) -> None:
    weights = truncate(shutil.copytree(wan, tmp_path / "wan"))
    models = [option for name, folder in (("inpainter", tmp_path / "wan"), ("depth", depth), ("first_frame", depth))
              for option in ("--set", f"{name}.model={folder}")]  # fmt: skip
    status, printed = run("models", "check", "wan-vace-1.3b", *models)
    assert status == 2
    assert f"{weights} is truncated" in printed
    assert "models download" not in printed


def test_a_whole_local_folder_comes_with_the_options_that_use_it(wan: Path, run) -> None:
    status, printed = run("models", "check", "wan-vace-1.3b", "--local", wan)
    assert status == 0
    assert f"use them with: --preset wan-vace-1.3b --set inpainter.model={wan}" in printed


def test_a_folder_of_folders(wan: Path, depth: Path, tmp_path: Path, run) -> None:
    shutil.copytree(wan, tmp_path / "someone" / "wan")
    shutil.copytree(depth, tmp_path / "depth")
    status, printed = run("models", "check", "wan-vace-1.3b", *SMALL, "--local", tmp_path)
    assert status == 0
    assert f"--set inpainter.model={tmp_path}/someone/wan --set depth.model={tmp_path}/depth" in printed
    shutil.rmtree(tmp_path / "depth")
    status, printed = run("models", "check", "wan-vace-1.3b", *SMALL, "--local", tmp_path)
    assert status == 2
    assert f"there is no folder {tmp_path}/depth" in printed


def test_pickled_weights_are_no_weights(wan: Path, tmp_path: Path, run) -> None:
    folder = shutil.copytree(wan, tmp_path / "wan")
    (weights,) = (folder / "vae").glob("*.safetensors")
    weights.unlink()
    torch.save({}, weights.with_suffix(".bin"))
    status, printed = run("models", "check", "wan-vace-1.3b", "--local", folder)
    assert status == 2
    assert "its weights are pickled, which are never loaded: convert them to safetensors" in printed


def test_presets_that_need_nothing(run) -> None:
    assert run("models", "check", "embedded")[0] == 0
    assert "needs nothing from the network" in run("models", "download", "embedded")[1]


@pytest.mark.parametrize("arguments", [("info", "wan-vace"), ("check", "wan-vace"), ("download", "wan-vace")])
def test_unknown_presets(run, arguments: tuple[str, str]) -> None:
    status, printed = run("models", *arguments)
    assert status == 2
    assert "unknown preset 'wan-vace'" in printed


def test_runs_without_their_weights_say_what_to_type(cache: Path, tmp_path: Path, run) -> None:
    status, printed = run("flyaround", PHOTO, "--out", tmp_path / "out", "--preset", "wan-vace-1.3b", *SMALL)
    assert status == 2
    assert "the inpainter someone/wan (not in the cache); the depth model someone/depth (not in the cache)" in printed
    assert f"With a network, run: {COMMAND}" in printed
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("setting", ["inpainter.model", "depth.model", "first_frame.model"])
def test_folders_that_are_not_there_are_named_before_anything_is_fetched(
    cache: Path, tmp_path: Path, run, setting: str
) -> None:
    status, printed = run("flyaround", PHOTO, "--out", tmp_path / "out", *SMALL, "--set", f"{setting}={tmp_path / 'gone'}")
    assert status == 2
    assert f"error: {setting}: there is no folder {tmp_path / 'gone'}" in printed


def test_download_without_a_network(cache: Path, run) -> None:
    status, printed = run("models", "download", "wan-vace-1.3b", *SMALL)
    assert status == 2
    assert "error: someone/wan could not be fetched: ConnectionError: Name or service not known" in printed
    assert "without a network, copy its folder from a machine that has one and name it: --set SECTION.model=DIR" in printed


def test_download_fetches_safetensors_only(cache: Path, monkeypatch: pytest.MonkeyPatch, run) -> None:
    fetched: dict[str, dict[str, Any]] = {}

    def fetch(model: str, **options: Any) -> str:
        fetched[model] = options
        return f"/somewhere/{model}"

    monkeypatch.setattr(huggingface_hub, "file_exists", lambda model, _: "depth" not in model)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", fetch)
    status, printed = run("models", "download", "sdxl-inpaint", "--set", "depth.model=someone/depth")
    assert status == 0
    inpainter = fetched.pop("diffusers/stable-diffusion-xl-1.0-inpainting-0.1")
    assert inpainter == {"variant": "fp16", "use_safetensors": True, "trust_remote_code": False}
    assert fetched.pop("someone/depth") == {"allow_patterns": ["*.json", "*.safetensors", "*.txt", "*.model"]}
    assert list(fetched) == ["stabilityai/stable-diffusion-xl-base-1.0"]
    assert "someone/depth: /somewhere/someone/depth" in printed


@pytest.mark.parametrize("saved", [None, "fp16"])
def test_a_variant_is_taken_where_there_is_one(tmp_path: Path, saved: str | None) -> None:
    """The preset names fp16; a folder of one's own need not have it."""
    folder = tiny_models.sdxl(tmp_path / "sdxl")
    if saved is not None:
        pipeline = diffusers.StableDiffusionXLInpaintPipeline.from_pretrained(folder)
        shutil.rmtree(folder)
        pipeline.save_pretrained(folder, variant=saved)
        assert list((folder / "unet").glob("*.fp16.safetensors"))
    settings = load_preset("sdxl-inpaint", [f"inpainter.model={folder}"]).inpainter
    assert settings.variant == "fp16"
    assert load_inpainter(settings).name == "sdxl"


CODE = """
import pathlib
pathlib.Path({mark!r}).touch()
from diffusers import WanVACEPipeline as Custom
"""


def test_code_that_comes_with_a_model_is_never_run(wan: Path, depth: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    pipeline, estimator = shutil.copytree(wan, tmp_path / "wan"), shutil.copytree(depth, tmp_path / "depth")
    for folder in (pipeline, pipeline / "transformer", estimator):
        (folder / "custom.py").write_text(CODE.format(mark=str(mark)))
    index = json.loads((pipeline / "model_index.json").read_text())
    config = json.loads((estimator / "config.json").read_text())
    auto_map = {"AutoConfig": "custom.Custom", "AutoModelForDepthEstimation": "custom.Custom"}
    for model_type in ("depth_anything", "custom"):
        (estimator / "config.json").write_text(json.dumps(config | {"auto_map": auto_map, "model_type": model_type}))
        with suppress(ValueError):
            load_depth_estimator(str(estimator))
    for changes in ({"_class_name": ["custom", "Custom"]}, {"transformer": ["custom", "Custom"]}):
        (pipeline / "model_index.json").write_text(json.dumps(index | changes))
        with pytest.raises(ValueError, match="inpainter"):
            load_inpainter(str(pipeline))
    assert not mark.exists()


def test_a_lora_is_needed_like_a_model(cache: Path, wan: Path, depth: Path, tmp_path: Path, run) -> None:
    put(cache, "someone/wan", wan)
    put(cache, "someone/depth", depth)
    status, printed = run("models", "check", "wan-vace-1.3b-fast", *SMALL)
    assert status == 2
    assert "LoRA Kijai/WanVideo_comfy/Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors: not in the cache" in printed
    place = put(cache, "Kijai/WanVideo_comfy", depth)
    save_file({"any": torch.zeros(1)}, place / "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors")
    status, printed = run("models", "check", "wan-vace-1.3b-fast", *SMALL)
    assert status == 0
    assert f"whole, in {place}" in printed
    file = tmp_path / "own.safetensors"
    file.write_bytes(b"cut")
    status, printed = run("models", "check", "wan-vace-1.3b-fast", *SMALL, "--set", f"inpainter.loras=[{{source: {file}}}]")
    assert status == 2
    assert f"{file} is no whole safetensors file" in printed


def test_a_lora_alone_is_fetched_of_its_repository(cache: Path, wan: Path, depth: Path, monkeypatch, run) -> None:
    fetched = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names: fetched.append(names) or "there")
    monkeypatch.setattr("splatmem.models.needs.download", lambda *names: fetched.append(names) or Path("there"))
    status, _ = run("models", "download", "wan-vace-14b-fast", *SMALL)
    assert status == 0
    assert fetched[-1] == (
        "lightx2v/Wan2.1-T2V-14B-StepDistill-CfgDistill-Lightx2v",
        "loras/Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank64.safetensors",
    )
    assert ("someone/wan", None, ()) in fetched


def test_a_file_for_a_transformer_is_fetched_in_its_place(cache: Path, monkeypatch, run) -> None:
    fetched = []
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda *names: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *names, **options: "there")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names: fetched.append(names) or "there")
    monkeypatch.setattr(
        diffusers.DiffusionPipeline, "download", lambda source, **options: fetched.append((source, options)) or "there"
    )
    own = ("--set", "inpainter.transformer=someone/small/q8.gguf")
    status, _ = run("models", "download", "wan-vace-1.3b", *SMALL, *own)
    assert status == 0
    (options,) = [entry[1] for entry in fetched if entry[0] == "someone/wan" and isinstance(entry[1], dict)]
    assert options["transformer"] is None, "diffusers does not fetch what it is given"
    assert options["use_safetensors"] is True
    assert ("someone/wan", "transformer/config.json") in fetched
    assert ("someone/small", "q8.gguf") in fetched


@pytest.mark.parametrize(
    ("preset", "part", "key"), [("sdxl-depth", "ControlNet", "controlnet"), ("wan-vace-1.3b-sana-wm", "expander", "expander")]
)
def test_what_stands_beside_the_inpainter_is_needed_too(cache: Path, preset: str, part: str, key: str, run) -> None:
    config = load_preset(preset)
    model = getattr(config.inpainter, key)
    assert (part, f"inpainter.{key}", model) in [(need.part, need.setting, need.model) for need in needed_models(config)]
    status, out = run("models", "check", preset)
    assert status == 2
    assert model in out
    with pytest.raises(ValueError, match=f"inpainter.{key}: there is no folder ./nowhere"):
        require_models(load_preset(preset, [f"inpainter.{key}=./nowhere"]), preset, (), first_frame=False)
