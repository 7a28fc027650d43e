"""The commands of the command line: for each the dataclass that its job takes, which tyro turns into options and help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from splatmem.batch.options import BatchOptions
from splatmem.evaluation.judge import JudgeOptions
from splatmem.evaluation.options import EvaluationOptions
from splatmem.jobs.edit_options import (
    CompactOptions,
    CropOptions,
    DuplicateOptions,
    ExtendOptions,
    FilmOptions,
    MergeOptions,
    MoveOptions,
    RecolourOptions,
    RedoOptions,
    RemoveOptions,
    UndoOptions,
)
from splatmem.jobs.option_types import Device, Overrides, PresetName, Size
from splatmem.jobs.options import CamerasOptions, ExportOptions, FlyaroundOptions, InspectOptions, RenderOptions
from splatmem.live.options import LiveOptions


@dataclass(frozen=True)
class ModelsList:
    """The presets, what each needs and whether its models are here."""


@dataclass(frozen=True)
class ModelsInfo:
    """What one preset needs: models, sizes, licences, GPU memory, and where they are."""

    preset: PresetName
    """The name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""


@dataclass(frozen=True)
class ModelsDownload:
    """Fetches a preset's models, or one model, into the hub's cache: safetensors, settings and tokenizers only."""

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET|OWNER/NAME")]
    """The name of a file in configs/, or a hub id."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    variant: str | None = None
    """Of a hub id's weights, such as fp16."""


@dataclass(frozen=True)
class ModelsCheck:
    """Says whether a preset's models are whole, without loading them; exits with 2 if they are not."""

    preset: PresetName
    """The name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    local: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A model's folder, or a folder with a folder for each model, to be checked instead of the cache."""


@dataclass(frozen=True)
class ModelsBench:
    """Measures what a preset takes on this machine's GPU, by random weights of the real size: nothing is fetched."""

    preset: PresetName
    """The name of a file in configs/."""
    size: Size = (512, 288)
    """Of the film."""
    frames: int = 96
    """Of the film, for the time that it takes at most."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    device: Device = "auto"
    """cuda, mps or cpu; without a GPU the weights are counted and nothing is run."""
    seconds: float = 300.0
    """After these no further setting is begun."""
    tiny: bool = False
    """Take tiny models, to try the command itself: their figures say nothing about the real ones."""


@dataclass(frozen=True)
class Models:
    """The models of presets: which there are, what they need, whether they are here, how fast they are."""

    action: (
        Annotated[ModelsList, tyro.conf.subcommand("list")]
        | Annotated[ModelsInfo, tyro.conf.subcommand("info")]
        | Annotated[ModelsDownload, tyro.conf.subcommand("download")]
        | Annotated[ModelsCheck, tyro.conf.subcommand("check")]
        | Annotated[ModelsBench, tyro.conf.subcommand("bench")]
    )


@dataclass(frozen=True)
class Doctor:
    """Says what this machine can use, and what to do about the rest."""


Command = (
    Annotated[FlyaroundOptions, tyro.conf.subcommand("flyaround")]
    | Annotated[BatchOptions, tyro.conf.subcommand("batch")]
    | Annotated[LiveOptions, tyro.conf.subcommand("explore")]
    | Annotated[RenderOptions, tyro.conf.subcommand("render")]
    | Annotated[FilmOptions, tyro.conf.subcommand("film")]
    | Annotated[ExtendOptions, tyro.conf.subcommand("extend")]
    | Annotated[RemoveOptions, tyro.conf.subcommand("remove")]
    | Annotated[MoveOptions, tyro.conf.subcommand("move")]
    | Annotated[DuplicateOptions, tyro.conf.subcommand("duplicate")]
    | Annotated[RecolourOptions, tyro.conf.subcommand("recolour")]
    | Annotated[CropOptions, tyro.conf.subcommand("crop")]
    | Annotated[MergeOptions, tyro.conf.subcommand("merge")]
    | Annotated[CompactOptions, tyro.conf.subcommand("compact")]
    | Annotated[UndoOptions, tyro.conf.subcommand("undo")]
    | Annotated[RedoOptions, tyro.conf.subcommand("redo")]
    | Annotated[ExportOptions, tyro.conf.subcommand("export")]
    | Annotated[CamerasOptions, tyro.conf.subcommand("cameras")]
    | Annotated[InspectOptions, tyro.conf.subcommand("inspect")]
    | Annotated[EvaluationOptions, tyro.conf.subcommand("evaluate")]
    | Annotated[JudgeOptions, tyro.conf.subcommand("judge")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)
