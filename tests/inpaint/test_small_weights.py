"""Transformers from quantised files, and weights that are kept in eight bits: what 8 GB cards need."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file
from splatmem.bench import ltx_family
from splatmem.bench.making import Maker
from splatmem.config import HardwareConfig, InpainterConfig, LoraConfig, load_preset
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.models.check import gguf_problem
from splatmem.models.hardware import is_quantised, place, store_small
from splatmem.models.needs import needed_models, require_models
from torch import Tensor

import tiny_models
from partial_windows import window
from pretend_device import pretended

BLOCK = 32
ORIGINAL_NAMES = {
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1", "attn2": "cross_attn", "attn1": "self_attn", ".to_out.0.": ".o.",
    ".to_q.": ".q.", ".to_k.": ".k.", ".to_v.": ".v.", "ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2",
    "proj_in": "before_proj", "norm2": "norm_", "norm3": "norm2", "norm_.": "norm3.",
}  # fmt: skip


def original(name: str) -> str:
    """The name that the model's first publication gives to a tensor."""
    if name in ("proj_out.weight", "proj_out.bias"):
        return name.replace("proj_out", "head.head")
    if name == "scale_shift_table":
        return "head.modulation"
    name = name.replace("scale_shift_table", "modulation").replace("proj_out", "after_proj")
    for ours, theirs in ORIGINAL_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def write_gguf(
    file: Path, tensors: dict[str, Tensor], kind: gguf.GGMLQuantizationType, named: Callable[[str], str] = str
) -> Path:
    """Matrices in blocks of eight or four bits, all else as it is."""
    writer = gguf.GGUFWriter(file, "wan")
    for name, tensor in tensors.items():
        values = tensor.float().numpy()
        if values.ndim == 2 and values.shape[1] % BLOCK == 0:
            writer.add_tensor(named(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(named(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.wan_vace(tmp_path_factory.mktemp("wan") / "wan", in_blocks=True)


@pytest.fixture(scope="module")
def tensors(folder: Path) -> dict[str, Tensor]:
    (file,) = (folder / "transformer").glob("*.safetensors")
    return load_file(file)


@pytest.fixture(scope="module")
def quantised(folder: Path, tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "q8.gguf", tensors, gguf.GGMLQuantizationType.Q8_0)


@pytest.fixture(scope="module")
def bare(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline without the weights of its transformer, as it is fetched for a quantised one."""
    place = shutil.copytree(folder, tmp_path_factory.mktemp("bare") / "bare")
    for file in (place / "transformer").glob("*.safetensors"):
        file.unlink()
    return place


def filled(
    model: Path, hardware: HardwareConfig | None = None, device: str = "cpu", **settings: Any
) -> tuple[Tensor, WanVACEInpainter]:
    config = InpainterConfig(model=str(model), steps=2, window_frames=5, **settings)
    inpainter = load_inpainter(config, device=device, hardware=hardware)
    assert isinstance(inpainter, WanVACEInpainter)
    return inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(0), prompt="a room").rgb, inpainter


@pytest.fixture(scope="module")
def whole(folder: Path) -> Tensor:
    return filled(folder)[0]


def test_a_quantised_transformer_takes_the_place_of_the_pipelines_own(bare: Path, quantised: Path, whole: Tensor) -> None:
    rgb, inpainter = filled(bare, transformer=str(quantised))
    weights = dict(inpainter.pipeline.transformer.named_parameters())
    assert is_quantised(inpainter.pipeline.transformer)
    assert weights["blocks.0.attn1.to_q.weight"].dtype is torch.uint8
    assert weights["blocks.0.attn1.to_q.weight"].numel() == BLOCK * (BLOCK + 2), "a byte a weight, two for a block's scale"
    assert 0 < (rgb - whole).abs().max() < 0.05, "nearly what the full weights make"


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_files_in_the_names_of_the_first_publication(
    kind: str, bare: Path, tensors: dict[str, Tensor], whole: Tensor, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "orig.gguf", tensors, getattr(gguf.GGMLQuantizationType, kind), original)
    rgb, _ = filled(bare, transformer=str(file))
    assert 0 < (rgb - whole).abs().max() < 0.2


def test_a_transformer_from_a_file_that_is_not_quantised(
    bare: Path, tensors: dict[str, Tensor], whole: Tensor, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "transformer.safetensors")
    rgb, inpainter = filled(bare, transformer=str(tmp_path / "transformer.safetensors"))
    assert not is_quantised(inpainter.pipeline.transformer)
    torch.testing.assert_close(rgb, whole)


def test_each_of_two_transformers(quantised: Path, tmp_path: Path) -> None:
    two = tiny_models.wan_vace(tmp_path / "two", transformers=2, in_blocks=True)
    rgb, inpainter = filled(two, transformer=str(quantised), transformer_2=str(quantised))
    assert is_quantised(inpainter.pipeline.transformer_2)
    assert torch.isfinite(rgb).all()


@pytest.mark.parametrize("offload", ["none", "group"])
def test_eight_bits_on_a_device(offload: Any, folder: Path, whole: Tensor) -> None:
    hardware = HardwareConfig(dtype="float32", offload=offload, tiling=True, storage="float8")
    with pretended("cuda"):
        rgb, _ = filled(folder, hardware, "cuda")
    assert 0 < (rgb - whole).abs().max() < 0.1


def test_quantised_layers_are_fetched_in_groups(folder: Path, quantised: Path) -> None:
    """By diffusers' own hooks, from main memory to main memory: the pretended device has no tensors of GGUF's kind."""
    expected, _ = filled(folder, transformer=str(quantised))
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=2, window_frames=5, transformer=str(quantised)))
    assert isinstance(inpainter, WanVACEInpainter)
    place(inpainter.pipeline, HardwareConfig(offload="group", tiling=True), "cpu:0")
    rgb = inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(0), prompt="a room").rgb
    assert (rgb - expected).abs().max() < 0.02, "but for the autoencoder's tiles"


def test_weights_wait_in_eight_bits_and_compute_in_more(folder: Path, whole: Tensor) -> None:
    rgb, inpainter = filled(folder, HardwareConfig(storage="float8"))
    weights = dict(inpainter.pipeline.transformer.named_parameters())
    assert weights["blocks.0.attn1.to_q.weight"].dtype is torch.float8_e4m3fn
    assert weights["blocks.0.norm2.weight"].dtype is torch.float32, "norms stay as they are"
    assert 0 < (rgb - whole).abs().max() < 0.1
    assert {p.dtype for p in inpainter.pipeline.vae.parameters()} == {torch.float32}


def test_text_encoders_wait_in_eight_bits_too(folder: Path) -> None:
    inpainter = load_inpainter(str(folder))
    assert isinstance(inpainter, WanVACEInpainter)
    encoder, words = inpainter.pipeline.text_encoder, torch.tensor([[1, 2, 3, 4]])
    before = encoder(words).last_hidden_state
    store_small(inpainter.pipeline, HardwareConfig(storage="float8"))
    kinds = {name: p.dtype for name, p in encoder.named_parameters()}
    assert kinds["encoder.block.0.layer.0.SelfAttention.q.weight"] is torch.float8_e4m3fn
    assert kinds["encoder.block.0.layer.1.DenseReluDense.wo.weight"] is torch.float32
    assert 0 < (encoder(words).last_hidden_state - before).abs().max() < 0.1 * before.abs().max()
    store_small(inpainter.pipeline, HardwareConfig(storage="float8"))  # a second time changes nothing


@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_matrices_that_embed_words_stay_as_they_are(storage: Any) -> None:
    """Some encoders end with the matrix that they begin with, and scale what they look up in it."""
    pipeline = SimpleNamespace(text_encoder=ltx_family.ltx2_parts(True, Maker("cpu"))["text_encoder"])
    store_small(pipeline, HardwareConfig(storage=storage))
    encoder, words = pipeline.text_encoder, torch.tensor([[1, 2, 3, 4]])
    assert encoder.lm_head.weight is encoder.get_input_embeddings().weight
    assert torch.isfinite(encoder(words).logits).all()


def test_weights_wait_as_whole_numbers(folder: Path, whole: Tensor) -> None:
    rgb, inpainter = filled(folder, HardwareConfig(storage="int8"))
    in_float8, _ = filled(folder, HardwareConfig(storage="float8"))
    transformer, encoder = inpainter.pipeline.transformer, inpainter.pipeline.text_encoder
    weights = dict(transformer.named_parameters())
    assert type(weights["blocks.0.attn1.to_q.weight"]).__name__ == "Int8Tensor"
    assert type(weights["blocks.0.norm2.weight"]) is torch.nn.Parameter
    assert not any(type(p) is not torch.nn.Parameter for p in inpainter.pipeline.vae.parameters())
    if encoder is not None:
        assert any(type(p).__name__ == "Int8Tensor" for p in encoder.parameters())
    assert 0 < (rgb - whole).abs().max() < 0.05
    assert (rgb - whole).square().mean() < (in_float8 - whole).square().mean(), "nearer than float8"
    store_small(inpainter.pipeline, HardwareConfig(storage="int8"))  # a second time changes nothing


def test_whole_numbers_are_fetched_in_groups(folder: Path, whole: Tensor) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=2, window_frames=5))
    assert isinstance(inpainter, WanVACEInpainter)
    place(inpainter.pipeline, HardwareConfig(storage="int8", offload="group"), "cpu:0")
    rgb = inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(0), prompt="a room").rgb
    assert 0 < (rgb - whole).abs().max() < 0.05


def test_whole_numbers_need_their_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splatmem.models.hardware.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package torchao: pip install 'splatmem\[int8\]'"):
        filled(folder, HardwareConfig(storage="int8"))


def test_what_cannot_be_used_is_refused(
    folder: Path, bare: Path, quantised: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    def refused(said: str, **settings: Any) -> None:
        with pytest.raises(ValueError, match=said):
            filled(folder, **settings)

    with pytest.raises(ValueError, match="it has no weights"):
        filled(bare)
    refused("must be a safetensors or gguf file", transformer="x.bin")
    refused("hf download someone/small q8.gguf", transformer="someone/small/q8.gguf")
    refused("has no part of that name", transformer=str(quantised), transformer_2=str(quantised))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(quantised.read_bytes()[:-100])
    refused("truncated", transformer=str(cut))
    (tmp_path / "text.gguf").write_text("nothing")
    refused("is no GGUF file", transformer=str(tmp_path / "text.gguf"))
    some = {name: tensor for name, tensor in tensors.items() if "blocks.1.attn1.to_q" not in name}
    refused(
        "it lacks some of the layers",
        transformer=str(write_gguf(tmp_path / "some.gguf", some, gguf.GGMLQuantizationType.Q8_0)),
    )
    save_file(some, tmp_path / "some.safetensors")
    refused("it lacks some of the layers", transformer=str(tmp_path / "some.safetensors"))
    layer = "transformer.blocks.0.attn1.to_q"
    lora = {f"{layer}.lora_A.weight": torch.ones(1, BLOCK), f"{layer}.lora_B.weight": torch.ones(BLOCK, 1)}
    save_file(lora, tmp_path / "lora.safetensors")
    refused(
        "cannot be added to a quantised transformer",
        transformer=str(quantised),
        loras=(LoraConfig(str(tmp_path / "lora.safetensors")),),
    )


def test_every_cut_of_a_file_is_noticed(quantised: Path, tmp_path: Path) -> None:
    assert gguf_problem(quantised) == ""
    content, file = quantised.read_bytes(), tmp_path / "cut.gguf"
    for end in range(0, len(content), len(content) // 37 + 1):
        file.write_bytes(content[:end])
        assert str(file) in gguf_problem(file), end


def test_without_the_package_it_is_named(quantised: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert "pip install 'splatmem[gguf]'" in gguf_problem(quantised)


def test_a_preset_needs_the_file_and_not_what_it_replaces(bare: Path, quantised: Path, tmp_path: Path) -> None:
    config = load_preset("wan-vace-1.3b", [f"inpainter.model={bare}", f"inpainter.transformer={quantised}"])
    needs = {need.part: need for need in needed_models(config, first_frame=False)}
    assert needs["transformer"].problems(needs["transformer"].folder) == []
    assert needs["inpainter"].problems(bare) == []
    assert needs["transformer"].option("FILE") == "--set inpainter.transformer=FILE"
    lacking = replace(
        config,
        inpainter=replace(config.inpainter, transformer="someone/small/q8.gguf"),
        depth=replace(config.depth, model="embedded"),
    )
    with pytest.raises(ValueError, match=re.escape("--set inpainter.transformer=FILE")):
        require_models(lacking, "wan-vace-1.3b", ["inpainter.transformer=someone/small/q8.gguf"], first_frame=False)
