"""The models that a configuration needs beside those that come with the package, and whether they are available."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splatmem.config import Config, ModelFacts
from splatmem.io.home import expanded
from splatmem.models.check import problems, weights_file_problem
from splatmem.models.load import whole_folder
from splatmem.models.locate import WEIGHTS_FILES, cached_folder, download, download_file, looks_like_hub_id, model_file

BESIDE_THE_INPAINTER = {"captioner": "captioner", "controlnet": "ControlNet", "expander": "expander"}
"""Keys of the inpainter's section that name further models, and what these are called."""


@dataclass(frozen=True)
class Need:
    """A model that has to be there.

    Attributes:
        part: what it does, for messages.
        setting: the ``section.key`` that names it.
        model: a local folder or a hub id.
        variant: of its weights.
        facts: what the preset says of it.
        without: parts of a pipeline whose weights come from files of their own.
    """

    part: str
    setting: str
    model: str
    variant: str | None
    facts: ModelFacts
    without: tuple[str, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The folder of the model, complete or not; None if it is not on this machine."""
        local = expanded(self.model)
        return local if local.is_dir() else cached_folder(self.model)

    def problems(self, folder: Path | None) -> list[str]:
        """What is wrong with it as it lies in ``folder``; empty if it is whole."""
        return ["not in the cache"] if folder is None else problems(folder, self.without)

    def option(self, place: str | Path) -> str:
        """What a user types to have it taken from another place."""
        return f"--set {self.setting}={place}"

    def fetch(self) -> Path:
        """Brings it into the hub's cache; see ``download``."""
        return download(self.model, self.variant, self.without)


@dataclass(frozen=True)
class FileNeed(Need):
    """A single file of weights: ``model`` is a local file, or one of the hub; ``folder`` is the file."""

    @property
    def folder(self) -> Path | None:
        try:
            return model_file(self.model, self.part, WEIGHTS_FILES)
        except ValueError:
            return None

    def problems(self, folder: Path | None) -> list[str]:
        if folder is None:
            return ["not in the cache"]
        wrong = weights_file_problem(folder)
        return [wrong] if wrong else []

    def fetch(self) -> Path:
        return download_file(self.model)


@dataclass(frozen=True)
class LoraNeed(FileNeed):
    """A LoRA, of which a configuration has a list."""

    def option(self, place: str | Path) -> str:
        return f"--set {shlex.quote(f'{self.setting}=[{{source: {place}}}]')}"


def needed_models(config: Config, *, first_frame: bool = True) -> list[Need]:
    """The models of a configuration that are given as folders or hub ids, not as names of something built in.

    Args:
        first_frame: whether the one that makes a picture from words counts.
    """
    inpainter, depth, picture, about = config.inpainter, config.depth, config.first_frame, config.about
    files = inpainter.files_of_parts()
    needs = [
        Need("inpainter", "inpainter.model", inpainter.model, inpainter.variant, about.inpainter, tuple(files)),
        Need("depth model", "depth.model", depth.model, None, about.depth),
    ]
    if first_frame and picture.model is not None:
        needs.append(Need("text-to-image model", "first_frame.model", picture.model, picture.variant, about.first_frame))
    for key, part in BESIDE_THE_INPAINTER.items():
        if (model := getattr(inpainter, key)) is not None:
            needs.append(Need(part, f"inpainter.{key}", model, None, getattr(about, key)))
    needs = [need for need in needs if expanded(need.model).is_dir() or looks_like_hub_id(need.model)]
    needs += [FileNeed(part, f"inpainter.{part}", file, None, about.transformer) for part, file in files.items()]
    return needs + [LoraNeed("LoRA", "inpainter.loras", lora.source, None, about.loras) for lora in inpainter.loras]


NAMES_OF_MODELS = (
    ".model",
    ".variant",
    ".loras",
    ".transformer",
    ".transformer_2",
    *(f".{key}" for key in BESIDE_THE_INPAINTER),
)  # settings that say what is fetched


def preset_command(verb: str, preset: str, overrides: Sequence[str]) -> str:
    """What a user types to do something with a preset's models."""
    named = [override for override in overrides if override.partition("=")[0].endswith(NAMES_OF_MODELS)]
    changes = [f"--set {shlex.quote(override)}" for override in named]
    return " ".join([f"splatmem models {verb} {preset}", *changes])


def require_models(config: Config, preset: str, overrides: Sequence[str], *, first_frame: bool) -> None:
    """Raises ``ValueError`` if a model of the configuration is missing or not whole; the message says what to type."""
    _refuse_missing_folders(config)
    missing = []
    for need in needed_models(config, first_frame=first_frame):
        if expanded(need.model).is_dir():
            whole_folder(need.model, need.part, variant=need.variant, without=need.without)
        elif wrong := need.problems(need.folder):
            missing.append((need, wrong))
    if missing:
        told = "; ".join(f"the {need.part} {need.model} ({', '.join(wrong)})" for need, wrong in missing)
        instead = " ".join(need.option("FILE" if isinstance(need, FileNeed) else "DIR") for need, _ in missing)
        raise ValueError(
            f"models are missing: {told}. With a network, run: {preset_command('download', preset, overrides)}; without, give "
            f"local folders: {instead}"
        )


def _refuse_missing_folders(config: Config) -> None:
    """Raises ``ValueError`` for a model whose source is written as a path to a folder that does not exist."""
    named = {f"{section}.model": getattr(config, section).model for section in ("inpainter", "depth", "first_frame")}
    named |= {f"inpainter.{part}": getattr(config.inpainter, part) for part in BESIDE_THE_INPAINTER}
    for setting, model in named.items():
        if model is not None and model.startswith((".", "~", "/")) and not expanded(model).is_dir():
            raise ValueError(f"{setting}: there is no folder {model}")
