"""One typed configuration; a preset is a YAML file that overlays its defaults, and ``a.b=c`` overrides what it says.

Why not a library: dacite names neither the choices of a value nor the key that was meant, and OmegaConf reads ``${...}`` in a
value, which may be a prompt or a path, as a reference, and leaves what stands in a tuple unchecked.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from splatmem import assets

Offload = Literal["none", "model", "sequential", "group"]
Precision = Literal["auto", "float32", "float16", "bfloat16"]
Storage = Literal["dtype", "float8", "int8"]
MEMORY_BUDGET_FIELDS = ("inpainter.window_frames", "inpainter.max_pixels", "first_frame.pixels")


@dataclass(frozen=True)
class LoraConfig:
    """A low-rank change of a model's weights (Hu et al. 2021, "LoRA")."""

    source: str = ""
    """A local file, or one of the hub as ``owner/name/file.safetensors``."""
    weight: float = 1.0
    """How much of it is added."""


@dataclass(frozen=True)
class InpainterConfig:
    model: str = "embedded"
    """``embedded``, a classical filler (``telea``, ``navier-stokes``, ``push-pull``), or a local folder or hub id of a
    diffusers pipeline: WanVACE, or any that fills the masked part of a picture."""
    variant: str | None = None
    """Which of several sets of weights a repository offers, such as ``fp16``."""
    steps: int | None = None
    """Diffusion steps; the model's own number if not given."""
    guidance: float | None = None
    """Classifier-free guidance; 1 turns it off and halves the time. The pipeline's own number if not given."""
    negative_prompt: str = ""
    """What the pictures should not show."""
    window_frames: int | None = None
    """Frames that a video model fills together, 4k + 1; its own number if not given. Fewer need less memory."""
    min_pixels: int | None = None
    """Smaller frames are enlarged to about this many pixels, filled and reduced again, for models that are poor at small
    sizes. None: the film's size."""
    max_pixels: int | None = None
    """Larger frames are filled at this many pixels and enlarged; what is known stays sharp. None: the film's size."""
    references: int = 3
    """Pictures of the scene that a video model is shown beside the window: the photo, and the views that overlap it most."""
    conditioning: Literal["pixels", "latents"] = "pixels"
    """How a model is shown what is known of a window: ``pixels`` are rendered and encoded, window by window; ``latents``
    are encoded once for every written frame, kept in the memory and read from there: much faster, and approximate."""
    control: Literal["none", "depth"] = "none"
    """What steers a model beside colours and words: nothing, or the depth that the memory knows, completed by what may lie
    around the scene (``depth``). For Wan VACE, and for pipelines that take a control picture."""
    controlnet: str | None = None
    """Local folder or hub id of a ControlNet for depth, where the pipeline is not made for control itself; of the same family
    as ``model``."""
    control_strength: float | None = None
    """How strongly a ControlNet steers; the pipeline's own number if not given."""
    panorama: bool = False
    """Begin with one wide picture of the whole turn around the first camera, whose ends meet, so that all directions are made
    together; for picture inpainters with a UNet (Stable Diffusion, its XL)."""
    expander: str | None = None
    """Local folder or hub id of a video model that makes windows of which little is known, such as SANA-WM, which is steered by
    cameras; beside a video model that fills the rest."""
    expand_below: float = 0.3
    """Windows of which a smaller share is known go to the ``expander``."""
    transformer: str | None = None
    """A file of weights to be taken for the pipeline's transformer instead of its own, which need not be there then:
    ``.gguf``, in which they are quantised, or ``.safetensors``; a local one, or one of the hub as ``owner/name/file``."""
    transformer_2: str | None = None
    """The same for the second transformer of a pipeline that has two."""
    loras: tuple[LoraConfig, ...] = ()
    """Added to the weights of a video model when it is loaded. Those that were distilled for few steps go with ``guidance: 1``
    and 4 to 8 ``steps``."""
    revise: float = 0.5
    """Noise, as a share of all noise, from which the sampler starts where the memory is known but not trusted at all;
    between that and full trust in proportion. 0: what is known is kept by the mask alone."""
    captioner: str | None = None
    """Local folder or hub id of any model of transformers that puts a picture into words. Each window's prompt is then followed
    by what is known of that window."""
    caption_question: str | None = None
    """What the captioner is asked, or the task's name, as the model expects it."""
    match_colours: bool = True
    """Take back the drift of a model's colours, by what it made of pixels that are known: in each frame a gain and a shift of
    each channel."""

    def files_of_parts(self) -> dict[str, str]:
        """The parts of the pipeline that come from files of their own, and these files."""
        files = {"transformer": self.transformer, "transformer_2": self.transformer_2}
        return {part: file for part, file in files.items() if file is not None}


@dataclass(frozen=True)
class DepthConfig:
    model: str = "embedded"
    """``embedded``, or a local folder or hub id of any transformers depth estimator."""


@dataclass(frozen=True)
class FirstFrameConfig:
    model: str | None = None
    """Local folder or hub id of a text-to-image pipeline, for runs that start from words alone."""
    variant: str | None = None
    """Which of a hub id's weights, such as fp16; see the inpainter's."""
    steps: int | None = None
    """Diffusion steps; the pipeline's own number if not given."""
    guidance: float | None = None
    """Classifier-free guidance; the pipeline's own number if not given."""
    pixels: int | None = None
    """About how many pixels the picture is made with, in the film's shape, before it is scaled to the film's size. None: the
    film's size, at which most models are poor."""


@dataclass(frozen=True)
class ModelFacts:
    disk_gb: float = 0.0
    """What its files take, in 10^9 bytes."""
    licence: str = ""
    """Under which the weights may be used."""
    outputs: str = ""
    """What the licence says of pictures that are made with them."""


@dataclass(frozen=True)
class AboutConfig:
    """What a user should know before a preset's models are fetched; nothing of it changes a run."""

    summary: str = ""
    """What fills the unknown, in one line."""
    gpu_gb: float | None = None
    """GPU memory that it needs as the preset stands; null: none."""
    low_vram_gb: float | None = None
    """The same with --low-vram."""
    tried: str = ""
    """What of it was run, with which weights."""
    inpainter: ModelFacts = field(default_factory=ModelFacts)
    depth: ModelFacts = field(default_factory=ModelFacts)
    first_frame: ModelFacts = field(default_factory=ModelFacts)
    transformer: ModelFacts = field(default_factory=ModelFacts)
    """Of a file that takes the place of a part of the inpainter."""
    loras: ModelFacts = field(default_factory=ModelFacts)
    """Of each of them."""
    captioner: ModelFacts = field(default_factory=ModelFacts)
    controlnet: ModelFacts = field(default_factory=ModelFacts)
    expander: ModelFacts = field(default_factory=ModelFacts)


@dataclass(frozen=True)
class HardwareConfig:
    dtype: Precision = "auto"
    """Of the big models' weights; auto: bfloat16 on GPUs that have it (NVIDIA's from Ampere on, Apple's from macOS 14 on), else
    float16; float32 on the CPU."""
    storage: Storage = "dtype"
    """How the weights of transformers and text encoders are kept between their uses: as ``dtype`` says, or each layer in eight
    bits, which are turned back when it is its turn: half the memory, somewhat slower, slightly less exact. ``float8`` needs
    nothing further; ``int8``, whole numbers with a scale for each row, is nearer to the weights and needs torchao
    (``pip install 'splatmem[int8]'``)."""
    offload: Offload = "none"
    """What waits in main memory: nothing; whole models until they are run (``model``); each layer (``sequential``); or layers
    fetched ahead of their use (``group``), which needs as little memory and less time."""
    tiling: bool = False
    """Pictures go through the autoencoder in overlapping tiles, one frame at a time: less memory, somewhat slower."""
    attention: str | None = None
    """Kernels for the attention of transformers, by diffusers' name: ``native`` (PyTorch's choice, as where nothing is given),
    ``_native_cudnn``, ``_native_flash``, or of packages that have to be there, ``flash`` (flash-attn) and ``sage``
    (sageattention, less exact)."""
    compile: bool = False
    """Compile the blocks that repeat in the denoiser, which takes a minute or more at the first window of each size."""


@dataclass(frozen=True)
class Config:
    inpainter: InpainterConfig = field(default_factory=InpainterConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    first_frame: FirstFrameConfig = field(default_factory=FirstFrameConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    about: AboutConfig = field(default_factory=AboutConfig)

    def result(self) -> dict[str, Any]:
        """Every ``section.key`` that decides what is made, for a run that is resumed: not where it is computed nor how much at
        once, which may change when memory has run out."""
        sections = dataclasses.asdict(self)
        values = {f"{s}.{key}": v for s in ("inpainter", "depth", "first_frame") for key, v in sections[s].items()}
        return {key: value for key, value in values.items() if key not in MEMORY_BUDGET_FIELDS}

    def with_low_vram(self) -> Config:
        """For a GPU with little memory: offloaded by layers (in groups, unless the preset has ``sequential``), and tiled."""
        offload = "sequential" if self.hardware.offload == "sequential" else "group"
        return dataclasses.replace(self, hardware=dataclasses.replace(self.hardware, offload=offload, tiling=True))


def preset_names() -> list[str]:
    return sorted(file.stem for file in assets.configs().glob("*.yaml"))


def load_preset(name: str, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a preset.

    Args:
        overrides: ``section.key=value`` each, laid over the preset in order; the value is read as YAML.

    Raises:
        ValueError: there is no such preset, or it or an override has an unknown key or a value of the wrong type.
    """
    file = assets.configs() / f"{name}.yaml"
    if Path(name).name != name or not file.is_file():
        raise ValueError(f"unknown preset {name!r}{_nearest(name, preset_names())}; there are: {', '.join(preset_names())}")
    config = overlay(Config(), _parsed_file(file.read_text(encoding="utf-8")), where=file.name)
    for override in overrides:
        config = overlay(config, _parsed(override), where=f"--set {override}")
    return config


def overlay(base: Any, values: Any, where: str) -> Any:
    """``base`` (a dataclass instance) with ``values`` put over its fields, nested alike."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected keys and values, got {values!r}")
    types_of = _field_types(type(base))
    changes = {}
    for key, value in values.items():
        if key not in types_of:
            raise ValueError(f"{where}: unknown key {key!r}{_nearest(str(key), _known_keys(type(base)))}")
        if dataclasses.is_dataclass(getattr(base, key)):
            value = overlay(getattr(base, key), value, f"{where}: {key}")
        elif get_origin(types_of[key]) is tuple:
            if not isinstance(value, list):
                raise ValueError(f"{where}: {key} must be a list, got {value!r}")
            value = tuple(overlay(get_args(types_of[key])[0](), item, f"{where}: {key}") for item in value)
        elif not _fits(value, types_of[key]):
            raise ValueError(f"{where}: {key} must be {_spelled(types_of[key])}, got {value!r}")
        changes[key] = value
    return dataclasses.replace(base, **changes)


@cache
def _parsed_file(text: str) -> Any:
    """The values of a preset's file; a batch asks for them with every film."""
    import yaml

    return yaml.safe_load(text) or {}


def _parsed(override: str) -> dict[str, Any]:
    """``a.b=c`` as nested keys and values."""
    import yaml

    keys, equals, text = override.partition("=")
    if not equals or not all(part.strip() for part in keys.split(".")):
        raise ValueError(f"--set {override}: expected section.key=value, such as inpainter.steps=20")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {override}: the value cannot be read: {error}") from error
    for part in reversed(keys.split(".")):
        value = {part.strip(): value}
    return value


@cache
def _field_types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _known_keys(cls: type) -> list[str]:
    """Keys of a section; of the whole configuration also those of its sections, as ``section.key``."""
    keys = list(_field_types(cls))
    sections = {key: kind for key, kind in _field_types(cls).items() if dataclasses.is_dataclass(kind)}
    return keys + [f"{section}.{key}" for section, kind in sections.items() for key in _field_types(kind)]


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a value that was read from YAML has the type of a field; whole numbers count as floats, booleans never do."""
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return any(_fits(value, part) for part in get_args(annotation))
    if isinstance(value, bool) or annotation is bool:
        return isinstance(value, bool) and annotation is bool
    return isinstance(value, (int, float) if annotation is float else annotation)


def _spelled(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(get_args(annotation))
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return " or ".join(_spelled(part) for part in get_args(annotation))
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(annotation, str(annotation))


def _nearest(word: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
