"""Parts of pipelines as transformers 4 and 5 save them, and as the hub holds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from splatmem.models.check import problems

CLIP_FILES = ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json")
SLOW_T5 = ("spiece.model", "special_tokens_map.json", "tokenizer_config.json")
FAST = ("tokenizer.json", "tokenizer_config.json")


def pipeline(folder: Path, part: str, entry: tuple[str | None, str], files: tuple[str, ...]) -> Path:
    """A pipeline's folder with one part, whose files hold nothing."""
    (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AnyPipeline", part: entry}))
    for name in files:
        (folder / part / name).write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("part", "class_name", "files"),
    [
        pytest.param("tokenizer", "CLIPTokenizer", CLIP_FILES, id="clip, transformers 4"),
        pytest.param("tokenizer", "CLIPTokenizerFast", (*CLIP_FILES, "tokenizer.json"), id="clip, fast, transformers 4"),
        pytest.param("tokenizer", "T5Tokenizer", SLOW_T5, id="t5, transformers 4"),
        pytest.param("tokenizer", "T5TokenizerFast", (*SLOW_T5, "tokenizer.json"), id="t5, the hub"),
        pytest.param("tokenizer", "T5TokenizerFast", FAST, id="t5, transformers 5"),
        pytest.param("tokenizer", "TokenizersBackend", FAST, id="any, transformers 5"),
        pytest.param("tokenizer", "PreTrainedTokenizerFast", FAST, id="any, transformers 4"),
        pytest.param("tokenizer", "TokenizersBackend", (*FAST, "config.json"), id="with its model's settings beside it"),
        pytest.param("tokenizer", "TokenizerOfALaterVersion", FAST, id="of a later version"),
        pytest.param("feature_extractor", "CLIPFeatureExtractor", ("preprocessor_config.json",), id="the hub, no more there"),
        pytest.param("feature_extractor", "CLIPImageProcessor", ("preprocessor_config.json",), id="the hub, extractor"),
        pytest.param("processor", "CLIPProcessor", ("processor_config.json", *FAST), id="processor, transformers 5"),
    ],
)
def test_what_has_no_weights_is_whole(tmp_path: Path, part: str, class_name: str, files: tuple[str, ...]) -> None:
    assert problems(pipeline(tmp_path / "model", part, ("transformers", class_name), files)) == []


def test_a_scheduler_is_whole(tmp_path: Path) -> None:
    entry = ("diffusers", "UniPCMultistepScheduler")
    assert problems(pipeline(tmp_path / "model", "scheduler", entry, ("scheduler_config.json",))) == []


@pytest.mark.parametrize(
    ("class_name", "files", "wanted"),
    [
        ("TokenizersBackend", ("tokenizer_config.json",), "tokenizer.json"),
        ("CLIPTokenizer", ("vocab.json", "tokenizer_config.json"), "vocab.json with merges.txt"),
        ("T5TokenizerFast", ("tokenizer_config.json", "special_tokens_map.json"), "tokenizer.json or spiece.model"),
    ],
)
def test_a_tokenizer_without_its_vocabulary(tmp_path: Path, class_name: str, files: tuple[str, ...], wanted: str) -> None:
    (found,) = problems(pipeline(tmp_path / "model", "tokenizer", ("transformers", class_name), files))
    assert "has no vocabulary" in found
    assert wanted in found


@pytest.mark.parametrize(
    ("library", "class_name"),
    [("transformers", "CLIPTextModel"), ("diffusers", "AutoencoderKL"), ("transformers", "ModelOfALaterVersion"),
     ("stable_diffusion", "StableDiffusionSafetyChecker")],
)  # fmt: skip
def test_a_model_needs_its_configuration_and_weights(tmp_path: Path, library: str, class_name: str) -> None:
    (found,) = problems(pipeline(tmp_path / "bare", "part", (library, class_name), ("model.safetensors.index",)))
    assert "config.json is missing" in found
    (found,) = problems(pipeline(tmp_path / "light", "part", (library, class_name), ("config.json",)))
    assert "it has no weights" in found
