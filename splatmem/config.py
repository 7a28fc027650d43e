"""One typed configuration; a preset is a YAML file that overlays its defaults."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splatmem import assets


@dataclass(frozen=True)
class InpainterConfig:
    model: str = "embedded"
    """``embedded``, a classical filler (``telea``, ``navier-stokes``, ``push-pull``), or a folder with a pipeline."""
    steps: int | None = None
    """Diffusion steps; the model's own number if not given."""


@dataclass(frozen=True)
class DepthConfig:
    model: str = "embedded"
    """``embedded``, or a local folder or hub id of any transformers depth estimator."""


@dataclass(frozen=True)
class Config:
    inpainter: InpainterConfig = field(default_factory=InpainterConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)


def preset_names() -> list[str]:
    return sorted(file.stem for file in assets.configs().glob("*.yaml"))


def load_preset(name: str) -> Config:
    """The configuration of a preset.

    Raises:
        ValueError: there is no such preset, or its file has an unknown key or a value of the wrong type.
    """
    file = assets.configs() / f"{name}.yaml"
    if Path(name).name != name or not file.is_file():
        raise ValueError(f"unknown preset {name!r}{_nearest(name, preset_names())}; there are: {', '.join(preset_names())}")
    import yaml

    return overlay(Config(), yaml.safe_load(file.read_text()) or {}, where=file.name)


def overlay(base: Any, values: dict[str, Any], where: str) -> Any:
    """``base`` (a dataclass instance) with ``values`` put over its fields, nested alike."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected keys and values, got {values!r}")
    known = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
    changes = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}{_nearest(key, list(known))}")
        if dataclasses.is_dataclass(known[key]):
            value = overlay(known[key], value, f"{where}: {key}")
        elif known[key] is not None and not isinstance(value, type(known[key])):
            raise ValueError(f"{where}: {key} must be {type(known[key]).__name__}, got {value!r}")
        changes[key] = value
    return dataclasses.replace(base, **changes)


def _nearest(word: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
