"""Checks whether the folder of a model is complete, without loading the model."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from splatmem.models.locate import GGUF
from splatmem.models.parts import has_weights, vocabulary_problem

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
LARGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


def problems(folder: Path, without: Sequence[str] = ()) -> list[str]:
    """What is wrong with the folder of a diffusers pipeline or a transformers model, a sentence each; empty if it is whole.

    Args:
        folder: of the model.
        without: parts of a pipeline whose weights come from elsewhere: their configuration is enough.
    """
    if not folder.is_dir():
        return [f"there is no folder {folder}"]
    if (folder / "model_index.json").is_file():
        index = _json(folder / "model_index.json")
        if not isinstance(index, dict):
            return [f"{folder / 'model_index.json'} cannot be read as JSON"]
        bare = [folder / name / "config.json" for name in without if None not in (index.get(name) or [None])]
        lacking = [f"{file} is missing" for file in bare if not file.is_file()]
        parts = {name: entry for name, entry in index.items() if name not in without}
        return lacking + [text for name, entry in parts.items() for text in _component_problems(folder / name, entry)]
    if (folder / "config.json").is_file():
        return _weight_problems(folder)
    return [f"{folder} has neither a model_index.json nor a config.json"]


def offered_variant(folder: Path, variant: str | None) -> str | None:
    """``variant``, if a pipeline's folder has weights of it; else None, for those that it has."""
    if variant is None or not any(f".{variant}" in file.name for file in folder.rglob("*.safetensors")):
        return None
    return variant


def _component_problems(folder: Path, entry: Any) -> list[str]:
    """What is wrong with the folder of one part of a pipeline; ``entry`` is its [library, class], or a setting."""
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], str):
        return []
    if not folder.is_dir() or not any(folder.iterdir()):
        return [f"{folder} is missing: the pipeline's {folder.name} ({entry[1]})"]
    if not has_weights(folder, *entry):
        lacking = vocabulary_problem(folder, *entry)
        return [lacking] if lacking else []
    if not (folder / "config.json").is_file():
        return [f"{folder / 'config.json'} is missing"]
    return _weight_problems(folder)


def _weight_problems(folder: Path) -> list[str]:
    found: list[str] = []
    files = {file.name for file in folder.glob("*.safetensors")}
    for index in folder.glob("*.safetensors.index*.json"):
        content = _json(index)
        if not isinstance(content, dict) or not isinstance(content.get("weight_map"), dict):
            found.append(f"{index} cannot be read")
        else:
            missing = sorted(set(content["weight_map"].values()) - {name for name in files if (folder / name).is_file()})
            found += [f"{folder / name} is missing" for name in missing]
    if not files and not found:
        pickled = any(file.suffix in PICKLES for file in folder.iterdir())
        kind = (
            "its weights are pickled, which are never loaded: convert them to safetensors" if pickled else "it has no weights"
        )
        return [f"{folder}: {kind}"]
    return found + [text for name in sorted(files) if (text := safetensors_problem(folder / name))]


def weights_file_problem(file: Path) -> str:
    """What is wrong with a file of weights, safetensors or GGUF, judged by its header; empty if nothing."""
    return gguf_problem(file) if file.suffix == GGUF else safetensors_problem(file)


def gguf_problem(file: Path) -> str:
    """What is wrong with a GGUF file; empty if all of its arrays are there."""
    if not file.is_file():
        return f"{file} is missing"
    with file.open("rb") as content:
        if content.read(4) != b"GGUF":
            return f"{file} is no GGUF file"
    try:
        from gguf import GGUFReader
    except ImportError:
        return f"{file} cannot be read without the package gguf: pip install 'splatmem[gguf]'"
    try:
        for tensor in GGUFReader(file).tensors:
            if tensor.data.nbytes != tensor.n_bytes:
                return f"{file} is truncated: {tensor.name} is cut off"
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        return f"{file} is truncated or damaged: {error}"
    return ""


def safetensors_problem(file: Path) -> str:
    """What is wrong with a safetensors file, judged by its header; empty if the file has the right length.

    The format: eight bytes with the length of a JSON header, the header with the place of each tensor, the tensors.
    """
    if not file.is_file():
        return f"{file} is missing"
    size = file.stat().st_size
    with file.open("rb") as content:
        start = content.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LARGEST_HEADER + 1
        if length > LARGEST_HEADER or 8 + length > size:
            return f"{file} is no whole safetensors file: {size} bytes, its header is cut off"
        try:
            header = json.loads(content.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return f"{file} is no safetensors file: its header cannot be read"
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        kind = "truncated" if size < expected else "damaged"
        return f"{file} is {kind}: {size} bytes, {expected} expected"
    return ""


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
