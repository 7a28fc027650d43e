"""What one preset takes on this machine's device: which settings fit, how long a window takes, and a film at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from splatmem.bench import Row
from splatmem.bench.catalogue import PICTURE_MODELS, WAN_MODELS, unknown_models, weights
from splatmem.bench.context import GIB, Context, forget, smallest_card
from splatmem.bench.windows import TINY_SIZE, inpainter_class, pipeline_windows, wan_windows
from splatmem.config import Config
from splatmem.explore.loop import ExploreSettings
from splatmem.models.hardware import weights_dtype
from splatmem.models.main_memory import is_out_of_memory, reason
from splatmem.models.measured import WindowSpeed, device_name, keep, speed_settings

TINY_WINDOW = 9


@dataclass(frozen=True)
class Verdict:
    """One way of running a preset on the device.

    Attributes:
        setting: its name; how it is asked for.
        weights_gib: of all parts together.
        outcome: ``measured``, or why not, in words.
        window_frames: frames of the window that was measured.
        step_seconds, window_seconds: of one step of the sampler; of the window with all of them.
        film_seconds: that making the unseen of a film takes at most.
        peak_gib: GiB that tensors held at most, the text encoder's included; None where it is not counted.
    """

    setting: str
    weights_gib: float
    outcome: str
    window_frames: int = 0
    step_seconds: float | None = None
    window_seconds: float | None = None
    film_seconds: float | None = None
    peak_gib: float | None = None

    @property
    def fits_gb(self) -> int | None:
        """The smallest common card that should hold it, by the peak that was measured; None if that is not known."""
        return smallest_card(self.peak_gib)


def settings_of(config: Config) -> dict[str, Config]:
    """Ways to run a preset, by name: as it stands, then with ever less of a GPU's memory."""
    ways = {"as the preset": config, "--low-vram": config.with_low_vram()}
    ways["--low-vram, float8"] = replace(ways["--low-vram"], hardware=replace(ways["--low-vram"].hardware, storage="float8"))
    different: dict[str, Config] = {}
    for name, way in ways.items():
        if way not in different.values():
            different[name] = way
    return different


def bench(
    preset: str,
    config: Config,
    device: str,
    size: tuple[int, int],
    film_frames: int,
    *,
    tiny: bool = False,
    seconds: float = 300.0,
    announce: Callable[[str], None] = lambda text: None,
) -> list[Verdict]:
    """Measures windows of a preset's inpainter with random weights, in each way to run it; keeps what was measured.

    Args:
        preset: its name.
        config: what it says, overrides included.
        device: where; on ``cpu``, full-size models are not run, as one window would take hours.
        size: width and height of the film.
        film_frames: how many frames it has.
        tiny: take tiny models and windows instead, to try the command itself; nothing is kept of that.
        seconds: after these no further way is begun.
        announce: told what is done.

    Raises:
        ValueError: the preset's inpainter is not one whose configuration is known here.
    """
    refuse_unknown(preset, config)
    ends = time.monotonic() + seconds
    verdicts: list[Verdict] = []
    for name, way in settings_of(config).items():
        announce(f"{preset}, {name}")
        verdict = _refused_beforehand(name, way, device, tiny) or _measured(
            preset, name, way, device, size, film_frames, tiny, ends
        )
        verdicts.append(verdict)
        if verdict.window_seconds is not None and not tiny:
            settings = speed_settings(way, size)
            keep(WindowSpeed(device_name(device), settings, verdict.window_frames, verdict.window_seconds, verdict.peak_gib))
    return verdicts


def refuse_unknown(preset: str, config: Config) -> None:
    """Raises ``ValueError`` for a preset whose inpainter, or what stands beside it, cannot be made of random weights here."""
    for setting, model, known in unknown_models(config.inpainter):
        what = "comes with the package" if "/" not in model else "is not known here by its configuration"
        part = "inpainter" if setting == "model" else setting
        raise ValueError(
            f"there is nothing to measure of {preset}: its {part} {model} {what}; known are {', '.join(known) or 'none'}"
        )
    if config.inpainter.transformer is not None:
        raise ValueError(
            "models bench makes a model's weights as they were published, and cannot make those of a quantised file: "
            "add --set inpainter.transformer=null"
        )


def film_seconds(seconds_per_frame: float, film_frames: int, continuous: bool) -> float:
    """Seconds that making the unseen of a film takes at most: as many frames are generated as are allowed."""
    return ExploreSettings().generated_limit(film_frames, continuous) * seconds_per_frame


def _refused_beforehand(name: str, way: Config, device: str, tiny: bool) -> Verdict | None:
    """A verdict that needs no measurement, if there is one."""
    parts = _weights(way, device)
    total = sum(parts.values()) / GIB
    if tiny:
        return None
    if device == "cpu":
        return Verdict(name, total, "not measured: there is no GPU here")
    least = _least_on_device(way, parts) / GIB
    there = torch.cuda.get_device_properties(0).total_memory / GIB if device == "cuda" else None
    if there is not None and least > there:
        return Verdict(name, total, f"does not fit: weights of {least:.1f} GiB must be there at once, the GPU has {there:.1f}")
    return None


def _weights(way: Config, device: str) -> dict[str, int]:
    """Bytes of each part as a GPU would hold them."""
    dtype = weights_dtype(way.hardware, device) if device != "cpu" else torch.bfloat16
    return weights(way.inpainter, dtype)


def _least_on_device(way: Config, parts: dict[str, int]) -> int:
    """Bytes of weights that have to be on the device at once, at least."""
    if way.hardware.offload == "none":
        if way.inpainter.model not in WAN_MODELS:
            return sum(parts.values())
        # Wan lets its text encoder go before the rest of it is brought; an expander is there all the time.
        encoder, expander = parts["text_encoder"], sum(size for name, size in parts.items() if name.startswith("expander"))
        return expander + max(encoder, sum(parts.values()) - expander - encoder)
    return max(parts.values()) if way.hardware.offload == "model" else 0


def _measured(
    preset: str, name: str, way: Config, device: str, size: tuple[int, int], film_frames: int, tiny: bool, ends: float
) -> Verdict:
    total = sum(_weights(way, device).values()) / GIB
    if time.monotonic() > ends:
        return Verdict(name, total, "not measured: no time was left")
    rows: list[Row] = []
    context = Context(device, tiny, Path(), rows.append, ends)
    width, height = TINY_SIZE if tiny else size
    model = way.inpainter.model
    video = model not in PICTURE_MODELS
    default = inpainter_class(model).default_window if video else 1
    frames = 1 if not video else TINY_WINDOW if tiny else way.inpainter.window_frames or default
    run = wan_windows if model in WAN_MODELS else pipeline_windows
    said = None
    try:
        run(context, way, preset, [(frames, width, height)], name)
    except (RuntimeError, TimeoutError, ValueError) as error:
        full = is_out_of_memory(error) or any(words in str(error) for words in ("memory ran out", "too little memory"))
        if not (full or isinstance(error, TimeoutError)):
            raise
        said = reason(error)
    # Outside of the handler, whose traceback would keep the models alive.
    forget(device)
    if said is not None:
        return Verdict(name, total, f"not measured: {said}")
    # An expander's windows take longer or shorter: which of them a film has is not known.
    timed = max((row for row in rows if "window, s (computed)" in row), key=lambda row: row["window, s (computed)"])
    peaks = [row[column] for row in rows for column in ("peak, GiB", "peak of that, GiB") if row.get(column) is not None]
    seconds = timed["window, s (computed)"]
    return Verdict(
        name, total, "measured", frames, timed["step, s"], seconds, film_seconds(seconds / frames, film_frames, video),
        max(peaks, default=None),
    )  # fmt: skip
