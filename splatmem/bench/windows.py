"""Windows through the presets' inpainters at real sizes, as the product runs them; and pictures through depth models.

A few steps are run and timed, and a window with all its steps is computed from them: ``window, s (computed)``.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import torch

from splatmem.bench import Row, architectures
from splatmem.bench.catalogue import PICTURE_MODELS, WAN_MODELS, transformer_names, whole_pipeline
from splatmem.bench.context import Context, forget, now, peak_gib, seconds_of, smallest_card
from splatmem.bench.making import Maker, quantised, t5_tokenizer
from splatmem.config import Config, HardwareConfig, InpainterConfig, load_preset
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint.expansion import expander_settings
from splatmem.inpaint.protocol import PartialFrames, ReferenceViews
from splatmem.models.hardware import weights_dtype
from splatmem.models.speed import speed_up

STEPS = 3  # of which the first warms up
FEW_STEPS = 2  # of a model whose steps take many seconds
PROMPT = "a bright room with a wooden table"
WAN_SIZE = (832, 480)
TINY_SIZE = (64, 48)
FASTER = {
    "as the preset": HardwareConfig(),
    **{f"attention={name}": HardwareConfig(attention=name) for name in ("_native_cudnn", "_native_flash", "flash", "sage")},
    "compile": HardwareConfig(attention="native", compile=True),
}
TINY_FASTER = {f"attention={name}": HardwareConfig(attention=name) for name in ("_native_math", "sage")}
KNOWN, LITTLE_KNOWN = 2 / 3, 0.2  # shares of a window
SPARE_SECONDS = 5.0  # a window is not begun with less left


@dataclass
class Clock:
    """Seconds of the parts of one window, each with the device waited for."""

    device: str
    encode: float = 0.0
    decode: float = 0.0
    sampling_began: float | None = None
    steps: list[float] = field(default_factory=list)
    """When each step was over."""

    def step_seconds(self) -> list[float]:
        if self.sampling_began is None or not self.steps:
            raise RuntimeError("no step of the sampler was seen")
        return [end - start for start, end in zip([self.sampling_began, *self.steps], self.steps, strict=False)]


@contextmanager
def clocked(pipeline: Any, device: str) -> Iterator[Clock]:
    """Times a pipeline's autoencoder and the steps of its sampler while the block runs."""
    clock = Clock(device)
    vae, scheduler = pipeline.vae, pipeline.scheduler
    denoisers = [
        part for name in ("transformer", "transformer_2", "unet") if (part := getattr(pipeline, name, None)) is not None
    ]
    own = {"encode": vae.encode, "decode": vae.decode}
    own_class = type(scheduler)

    def timed(name: str) -> Callable[..., Any]:
        @wraps(own[name])
        def run(*args: Any, **options: Any) -> Any:
            start = now(device)
            result = own[name](*args, **options)
            setattr(clock, name, getattr(clock, name) + now(device) - start)
            return result

        return run

    class Watched(own_class):
        """A class, since a pipeline may copy its scheduler, for sound: copies step by themselves and are not watched."""

        def step(self, *args: Any, **options: Any) -> Any:
            result = super().step(*args, **options)
            if self is scheduler:
                clock.steps.append(now(device))
            return result

    def began(*_: Any, **__: Any) -> None:
        if clock.sampling_began is None:
            clock.sampling_began = now(device)

    vae.encode, vae.decode = timed("encode"), timed("decode")
    scheduler.__class__ = Watched
    hooks = [part.register_forward_pre_hook(began) for part in denoisers]
    try:
        yield clock
    finally:
        del vae.encode, vae.decode
        scheduler.__class__ = own_class
        for hook in hooks:
            hook.remove()


def window(frames: int, width: int, height: int, share: float = KNOWN) -> PartialFrames:
    """Random frames, a share of them known, of which a part is poor and so revised: all of a window's work is done."""
    generator = torch.Generator().manual_seed(0)
    known = torch.ones(frames, height, width, dtype=torch.bool)
    known[:, :, int(share * width) :] = False
    trust = known.float()
    trust[:, : height // 2, : width // 4] = 0.3
    rgb = torch.rand(1, height, width, 3, generator=generator).expand(frames, -1, -1, -1)
    return PartialFrames(rgb, torch.ones(frames, height, width), known, trust, _cameras(frames, width, height))


def _cameras(count: int, width: int, height: int) -> Cameras:
    return Cameras.cat([identity_camera(60, width, height)] * count)


def _references(count: int, width: int, height: int) -> ReferenceViews:
    pictures = torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(1))
    return ReferenceViews(pictures, torch.ones(count, height, width), _cameras(count, width, height))


def timed_window(
    context: Context, inpainter: Any, preset: str, setting: str, partial: PartialFrames, references: ReferenceViews, steps: int
) -> Row:
    """One window with few steps, and what it takes with ``steps``.

    Raises:
        RuntimeError: the inpainter had to shrink the window, so that another was timed than was asked for.
    """
    forget(context.device)
    width, height = partial.cameras.width, partial.cameras.height
    with clocked(inpainter.pipeline, context.device) as clock:
        start = now(context.device)
        filled = inpainter(partial, generator=torch.Generator().manual_seed(0), prompt=PROMPT, reference=references)
        total = now(context.device) - start
    if any("memory ran out" in note for note in filled.notes):
        raise RuntimeError(f"{preset} at {len(partial)} frames of {width}x{height}: {'; '.join(filled.notes)}")
    first, *later = clock.step_seconds()
    step = sum(later) / len(later)
    return {
        "preset": preset, "setting": setting, "frames": len(partial), "size": f"{width}x{height}", "step, s": step,
        "first step, s": first, "encode, s": clock.encode, "decode, s": clock.decode,
        "steps run": 1 + len(later), "steps of the preset": steps,
        "window, s (computed)": total - first - sum(later) + steps * step, "peak, GiB": peak_gib(context.device),
        "card, GB": smallest_card(peak_gib(context.device)), "finite": bool(torch.isfinite(filled.rgb).all()),
    }  # fmt: skip


def wan_windows(
    context: Context,
    config: Config,
    preset: str,
    shapes: Sequence[tuple[int, int, int]],
    setting: str,
    steps_run: int = STEPS,
    in_blocks: bool = False,
) -> None:
    """Windows of several shapes through one inpainter, the text encoder's seconds and memory first; then through its expander,
    which lies beside it all the time, if it has one.

    Args:
        config: its model is one of ``WAN_MODELS``; its hardware says what waits in main memory.
        preset, setting: names for the rows.
        shapes: frames, width and height of each window.
        steps_run: steps of the sampler in each, of which the first warms up.
        in_blocks: whether the transformers' weights are quantised, as those of a GGUF file.
    """
    longest = max(frames for frames, _, _ in shapes)
    expands = expander_settings(config.inpainter)
    beside = None if expands is None else replace(config, inpainter=replace(expands, window_frames=longest))
    expander = None if beside is None else _placed_inpainter(context, beside, preset, f"{setting}, expander")
    inpainter = _wan_inpainter(context, config, preset, longest, setting, steps_run, in_blocks)
    for shape in shapes:
        _video_window(context, config.inpainter, inpainter, preset, setting, shape, KNOWN)
    if expands is None:
        return
    for shape in shapes:
        _video_window(context, expands, expander, preset, f"{setting}, expander", shape, LITTLE_KNOWN)


def _video_window(
    context: Context,
    settings: InpainterConfig,
    inpainter: Any,
    preset: str,
    setting: str,
    shape: tuple[int, int, int],
    share: float,
) -> None:
    """See ``timed_window``; ``settings`` say how many steps a window has, ``share`` of it is known."""
    frames, width, height = shape
    if context.seconds_left < SPARE_SECONDS:
        raise TimeoutError(f"no time left for {frames} frames of {width}x{height}")
    references = _references(max(settings.references, 1), width, height)
    partial, steps = window(frames, width, height, share), _steps(inpainter, settings)
    context.record(timed_window(context, inpainter, preset, setting, partial, references, steps))


def _steps(inpainter: Any, settings: InpainterConfig) -> int:
    """Of a window's sampler: what the settings say, else what the pipeline does by itself."""
    parameters = inspect.signature(type(inpainter.pipeline).__call__).parameters
    return settings.steps or parameters["num_inference_steps"].default


def _wan_inpainter(
    context: Context, config: Config, preset: str, longest: int, setting: str, steps_run: int, in_blocks: bool
) -> Any:
    """An inpainter that has read its prompt; records what that took. See ``wan_windows``; ``longest``: frames of a window."""
    from diffusers import UniPCMultistepScheduler

    from splatmem.inpaint.diffusers.vace_pipeline import MemoryVACEPipeline
    from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter

    kind, transformers = WAN_MODELS[config.inpainter.model]
    hardware = config.hardware
    forget(context.device)
    dtype, kind = weights_dtype(hardware, context.device), "tiny" if context.tiny else kind
    start = now(context.device)
    offloaded = hardware.offload != "none"
    names = transformer_names(transformers)
    # Models that wait in main memory are made on the device one by one; else the transformer is made when the text encoder
    # is gone, as it is brought then.
    make = Maker(context.device, dtype, parked=offloaded)

    def denoiser() -> Any:
        model = architectures.wan_transformer(kind, make)
        return quantised(model, dtype) if in_blocks else model

    vae = architectures.wan_autoencoder(context.tiny, make)
    denoisers = {name: denoiser() if offloaded else None for name in names}
    build: Any = MemoryVACEPipeline
    pipeline = build(
        tokenizer=t5_tokenizer(), text_encoder=architectures.umt5(context.tiny, make), vae=vae, **denoisers,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        boundary_ratio=0.875 if transformers == 2 else None,
    )  # fmt: skip
    del denoisers
    settings = replace(config.inpainter, steps=steps_run, window_frames=longest, loras=())
    inpainter = WanVACEInpainter(pipeline, settings, hardware, context.device, preset)
    built = now(context.device) - start
    forget(context.device)
    start = now(context.device)
    inpainter.read_prompt(PROMPT)  # kept by the inpainter, which is asked with the same prompt below
    text = now(context.device) - start
    text_peak, start = peak_gib(context.device), now(context.device)
    if not offloaded:
        pipeline.register_modules(**{name: denoiser() for name in names})
        speed_up(pipeline, hardware)
    context.record({
        "preset": preset, "setting": setting, "made, s": built + now(context.device) - start, "prompt encoded, s": text,
        "peak of that, GiB": text_peak,
    })  # fmt: skip
    return inpainter


def pipeline_windows(
    context: Context, config: Config, preset: str, shapes: Sequence[tuple[int, int, int]], setting: str
) -> None:
    """Windows of several shapes through an inpainter whose pipeline is placed as a whole.

    Args:
        config: its model is one of ``PICTURE_MODELS`` or ``VIDEO_MODELS``; its hardware says what waits in main memory.
        preset, setting: names for the rows.
        shapes: frames, width and height of each window; pictures have one frame.
    """
    settings = config.inpainter
    inpainter = _placed_inpainter(context, config, preset, setting)
    for frames, width, height in shapes:
        if settings.model not in PICTURE_MODELS:
            _video_window(context, settings, inpainter, preset, setting, (frames, width, height), KNOWN)
            continue
        partial, references = window(1, width, height), _references(1, width, height)
        if settings.control == "depth":
            partial = replace(partial, expected_depth=partial.depth)
        # The first picture warms the autoencoder and the text encoders up: they are a large part of a window of one frame.
        inpainter(partial, generator=torch.Generator().manual_seed(0), prompt=PROMPT, reference=references)
        steps = _steps(inpainter, settings)
        context.record(timed_window(context, inpainter, preset, setting, partial, references, steps))


def _placed_inpainter(context: Context, config: Config, preset: str, setting: str) -> Any:
    """An inpainter that runs few steps; see ``pipeline_windows``."""
    settings, hardware = config.inpainter, config.hardware
    forget(context.device)
    start = now(context.device)
    make = Maker(context.device, weights_dtype(hardware, context.device), parked=hardware.offload != "none")
    pipeline = whole_pipeline(settings, context.tiny, make)
    limits: dict[str, Any] = {"min_pixels": None, "max_pixels": None} if context.tiny else {}
    few = replace(settings, steps=STEPS, **limits)
    inpainter = inpainter_class(settings.model)(pipeline, few, hardware, context.device, preset)
    context.record({"preset": preset, "setting": setting, "made, s": now(context.device) - start})
    return inpainter


def inpainter_class(model: str) -> type[Any]:
    """What runs the pipeline of a model of the catalogue."""
    from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter
    from splatmem.inpaint.diffusers.ltx2 import LTX2Inpainter
    from splatmem.inpaint.diffusers.sana_wm import SanaWMInpainter
    from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter

    if model in WAN_MODELS:
        return WanVACEInpainter
    if model in PICTURE_MODELS:
        return ImageInpainter
    return LTX2Inpainter if model.endswith("LTX-2") else SanaWMInpainter


def _with_hardware(preset: str, **hardware: Any) -> Config:
    config = load_preset(preset)
    return replace(config, hardware=replace(config.hardware, **hardware))


def _shapes(context: Context, *shapes: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    return [(frames, *TINY_SIZE) for frames in (5, 9)] if context.tiny else list(shapes)


def _pictures(context: Context) -> list[tuple[int, int, int]]:
    return [(1, width, height) for width, height in ([TINY_SIZE] if context.tiny else [(512, 288), (1280, 720)])]


def wan_small(context: Context) -> None:
    """Wan 2.1 VACE 1.3B, all of it on the device."""
    shapes = _shapes(context, (17, *WAN_SIZE), (81, *WAN_SIZE), (49, *WAN_SIZE), (33, *WAN_SIZE))
    wan_windows(context, load_preset("wan-vace-1.3b"), "wan-vace-1.3b", shapes, "as the preset")


def wan_small_low_vram(context: Context) -> None:
    shapes = _shapes(context, (17, *WAN_SIZE), (49, *WAN_SIZE))
    wan_windows(context, load_preset("wan-vace-1.3b").with_low_vram(), "wan-vace-1.3b", shapes, "--low-vram")


def wan_small_8gb(context: Context) -> None:
    """The preset for cards of 8 GB: in groups, in tiles, and weights in eight bits while they wait."""
    shapes = _shapes(context, (17, *WAN_SIZE), (33, *WAN_SIZE))
    wan_windows(context, load_preset("wan-vace-1.3b-8gb"), "wan-vace-1.3b-8gb", shapes, "as the preset")


def wan_small_quantised(context: Context) -> None:
    """With a transformer as of a GGUF file."""
    config, shapes = load_preset("wan-vace-1.3b").with_low_vram(), _shapes(context, (17, *WAN_SIZE), (33, *WAN_SIZE))
    wan_windows(context, config, "wan-vace-1.3b", shapes, "--low-vram, transformer in Q8_0", in_blocks=True)


def wan_small_few_steps(context: Context) -> None:
    """Without guidance, in few steps, as with a LoRA that was distilled for that, which becomes part of the model's weights."""
    config, shapes = load_preset("wan-vace-1.3b-fast"), _shapes(context, (17, *WAN_SIZE), (81, *WAN_SIZE))
    wan_windows(context, config, "wan-vace-1.3b-fast", shapes, "as the preset")


def wan_small_faster(context: Context) -> None:
    """Other kernels for attention, then compiled blocks; what cannot be had here is said in the row."""
    config = load_preset("wan-vace-1.3b")
    shapes = _shapes(context, (17, *WAN_SIZE), (81, *WAN_SIZE))
    longest = max(frames for frames, _, _ in shapes)
    inpainter = _wan_inpainter(context, config, "wan-vace-1.3b", longest, "as the preset", STEPS, in_blocks=False)
    for setting, hardware in (TINY_FASTER if context.tiny else FASTER).items():
        try:
            inpainter.pipeline.transformer.sped_up = False
            speed_up(inpainter.pipeline, hardware)
            for shape in shapes:
                _video_window(context, config.inpainter, inpainter, "wan-vace-1.3b", setting, shape, KNOWN)
        except (RuntimeError, ValueError) as error:  # packages that are missing, kernels for other cards
            context.record({"preset": "wan-vace-1.3b", "setting": setting, "answer": str(error)})


def wan22(context: Context) -> None:
    """Wan 2.2 VACE, whose two transformers take turns on the device."""
    wan_windows(context, load_preset("wan22-vace"), "wan22-vace", _shapes(context, (17, *WAN_SIZE)), "as the preset", FEW_STEPS)


def wan_large(context: Context) -> None:
    """Wan 2.1 VACE 14B without offloading, which the preset has: an 80 GB device holds it."""
    config, shapes = _with_hardware("wan-vace-14b", offload="none"), _shapes(context, (17, *WAN_SIZE), (81, *WAN_SIZE))
    wan_windows(context, config, "wan-vace-14b", shapes, "hardware.offload=none", FEW_STEPS)


def wan_large_720p(context: Context) -> None:
    config, shapes = _with_hardware("wan-vace-14b", offload="none"), _shapes(context, (49, 1280, 720))
    wan_windows(context, config, "wan-vace-14b", shapes, "hardware.offload=none", FEW_STEPS)


def sdxl(context: Context) -> None:
    pipeline_windows(context, load_preset("sdxl-inpaint"), "sdxl-inpaint", _pictures(context), "as the preset")


def sdxl_low_vram(context: Context) -> None:
    pipeline_windows(context, load_preset("sdxl-inpaint").with_low_vram(), "sdxl-inpaint", _pictures(context), "--low-vram")


def flux(context: Context) -> None:
    """FLUX.1 Fill without offloading, which the preset has: an 80 GB device holds it."""
    config = _with_hardware("flux-fill", offload="none")
    pipeline_windows(context, config, "flux-fill", _pictures(context), "hardware.offload=none")


def sdxl_depth(context: Context) -> None:
    """With a ControlNet beside it."""
    pipeline_windows(context, load_preset("sdxl-depth"), "sdxl-depth", _pictures(context), "as the preset")


def ltx2(context: Context) -> None:
    """LTX-2 as the preset has it: its parts take turns on the device."""
    shapes = [(9, *TINY_SIZE)] if context.tiny else [(17, 768, 512), (49, 768, 512)]
    pipeline_windows(context, load_preset("ltx-2"), "ltx-2", shapes, "as the preset")


def wan_small_expander(context: Context) -> None:
    """Wan 2.1 VACE 1.3B with SANA-WM beside it, which makes the windows of which little is known."""
    shapes = [(9, *TINY_SIZE)] if context.tiny else [(49, *WAN_SIZE)]
    wan_windows(context, load_preset("wan-vace-1.3b-sana-wm"), "wan-vace-1.3b-sana-wm", shapes, "as the preset")


def depth(context: Context) -> None:
    """Seconds per picture of the depth models that presets name, one by one and four together."""
    from splatmem.depth.huggingface import PICTURES_AT_ONCE, HuggingFaceDepth

    for kind in ("tiny",) if context.tiny else ("small", "large"):
        forget(context.device)
        start = time.perf_counter()
        model, processor = architectures.depth_anything(kind, Maker(context.device))
        estimator = HuggingFaceDepth(model.to(memory_format=torch.channels_last), processor, kind)
        made = now(context.device) - start
        for width, height in (TINY_SIZE,) if context.tiny else ((512, 288), (1280, 720)):
            for count in (1, PICTURES_AT_ONCE):
                pictures = torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(0))
                seconds = seconds_of(lambda images=pictures, run=estimator: run(images), context.device)
                context.record({
                    "model": f"Depth Anything V2 metric {kind}", "size": f"{width}x{height}", "pictures": count,
                    "picture, s": seconds / count, "made, s": made, "peak, GiB": peak_gib(context.device),
                })  # fmt: skip
        del model, estimator
