"""Depth by any model of transformers' ``AutoModelForDepthEstimation``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth.embedded.network import MODEL_TYPE, SmallDepth
from splatmem.depth.embedded.pictures import PictureProcessor
from splatmem.depth.protocol import DepthPrediction
from splatmem.depth.surfaces import smooth_surfaces
from splatmem.geometry.filters import remove_specks
from splatmem.io.photo import PLAUSIBLE_FOV
from splatmem.models.load import load_model, quiet
from splatmem.pixels import to_uint8

PICTURES_AT_ONCE = 4  # by a model
MIN_DEPTH = 1e-3
FAR_TO_NEAR = 15.0  # how much farther the farthest percent of a disparity map is taken to be than its nearest
MIN_FITTED = 16  # known pixels from which scale and shift of a disparity map are fitted
FIT_ROUNDS = 5
MAX_DEPTH_FACTOR = 10.0  # largest depth of a fitted disparity map, relative to the largest known depth
SKY_OPENING = 1 / 48  # sky narrower than this share of the picture's height is noise


class Output(Enum):
    """What a model's ``predicted_depth`` is."""

    METRES = "z-depth in metres"
    DISPARITY = "inverse depth up to scale and shift"
    PROMPTED = "z-depth in the unit of the map that it is given"
    INVERSE_PER_WIDTH = "inverse depth times focal length over image width"  # Depth Pro's canonical inverse depth


OUTPUT_OF_TYPE = {
    MODEL_TYPE: Output.METRES,
    "zoedepth": Output.METRES,
    "glpn": Output.METRES,
    "tipsv2_dpt": Output.METRES,
    "prompt_depth_anything": Output.PROMPTED,
    "depth_pro": Output.INVERSE_PER_WIDTH,
    "depth_anything": Output.DISPARITY,  # METRES where the configuration says so
    "dpt": Output.DISPARITY,  # METRES on a DINOv2 backbone: those were trained on NYU and KITTI depth
}
UNSUITED_TYPES = {
    "chmv2": "it estimates the height of trees seen from the air",
}


class HuggingFaceDepth:
    """Runs a depth model and converts its output to z-depth at the size of the pictures."""

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        """Wraps a loaded model.

        Raises:
            ValueError: what the model puts out is not known or not the depth of a picture.
        """
        self.output = output_of(model.config)
        self.model, self.processor, self.name = model.eval(), processor, name
        self.estimates_fov = self.output is Output.INVERSE_PER_WIDTH
        self._hook: Any = None

    @staticmethod
    def from_pretrained(source: str, *, device: str = "cpu", offload: bool = False) -> HuggingFaceDepth:
        """Loads a local folder or a hub id; safetensors only, no remote code.

        Args:
            source: the folder or the id.
            device: where it runs.
            offload: whether it waits in main memory between its uses.

        Raises:
            ValueError: it cannot be loaded, or is no model that estimates the depth of pictures.
        """

        def load(folder: Path) -> HuggingFaceDepth:
            network, processor = _embedded(folder) if _is_embedded(folder) else _of_transformers(folder)
            # Convolutions are faster with the channels last, depthwise ones by half.
            model, hook = network.to("cpu" if offload else device, memory_format=torch.channels_last), None
            if offload:
                from accelerate import cpu_offload_with_hook

                model, hook = cpu_offload_with_hook(model, device)
            estimator = HuggingFaceDepth(model, processor, Path(source).name)
            estimator._hook = hook
            return estimator

        return load_model(source, "depth model", load)

    @property
    def metric(self) -> bool:
        """Whether depth comes in metres; Depth Pro only if a field of view is estimated or given."""
        return self.output not in (Output.DISPARITY, Output.PROMPTED)

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        """Depth at the pictures' size, ``inf`` where the model sees sky.

        Raises:
            ValueError: ``images`` is not ``[t, h, w, 3]``.
        """
        _check(images)
        parts = [self._predict(batch, fov_x_degrees) for batch in images.split(PICTURES_AT_ONCE)]
        depth = torch.cat([part.depth for part in parts])
        fovs = [part.fov_x_degrees for part in parts if part.fov_x_degrees is not None]
        return DepthPrediction(
            depth,
            parts[0].metric,
            sum(fovs) / len(fovs) if fovs else None,
            _joined([part.class_logits for part in parts]),
            _joined([part.indoors_logits for part in parts]),
        )

    def complete(
        self,
        images: Float[Tensor, "t h w 3"],
        known_depth: Float[Tensor, "t h w"],
        known: Bool[Tensor, "t h w"],
        *,
        fov_x_degrees: float | None = None,
    ) -> DepthPrediction:
        """Depth as by ``__call__``, except that the scale and shift of a disparity model are fitted to the known depth.

        Args:
            images: sRGB in 0..1.
            known_depth: z-depth, meaningless where not known, ``inf`` for sky.
            known: which pixels are known.
            fov_x_degrees: see ``__call__``.
        """
        if self.output is not Output.DISPARITY:
            return self(images, fov_x_degrees=fov_x_degrees)
        _check(images)
        maps = torch.cat([self._run(batch)[0] for batch in images.split(PICTURES_AT_ONCE)])
        depth = [_fitted(disparity, depth, usable) for disparity, depth, usable in zip(maps, known_depth, known, strict=True)]
        return DepthPrediction(torch.stack(depth), metric=False)

    @torch.no_grad()
    def prompted(self, images: Float[Tensor, "t h w 3"], prompt: Float[Tensor, "t 1 p q"]) -> Float[Tensor, "t h w"]:
        """Depth by a model that is given a coarse map with each picture, in that map's unit, within its range."""
        _check(images)
        flat = prompt.flatten(1)
        # The models scale the map to 0..1: one that is the same everywhere would be divided by nothing.
        tilt = 1e-3 * flat.mean(1)[:, None, None, None] * torch.linspace(0, 1, prompt.shape[-1])
        prompt = torch.where((flat.amax(1) - flat.amin(1) < 1e-6 * flat.mean(1))[:, None, None, None], prompt + tilt, prompt)
        pairs = zip(images.split(PICTURES_AT_ONCE), prompt.split(PICTURES_AT_ONCE), strict=True)
        depth = torch.cat([self._run(pictures, prompt_depth=maps)[0] for pictures, maps in pairs])
        return torch.maximum(depth, MIN_DEPTH * flat.amin(1)[:, None, None])

    def _predict(self, images: Float[Tensor, "t h w 3"], fov_x_degrees: float | None) -> DepthPrediction:
        raw, outputs = self._run(images)
        size = raw.shape[1:]
        estimated = getattr(outputs, "field_of_view", None)
        estimated = None if estimated is None else float(estimated.float().mean())
        if estimated is not None and not PLAUSIBLE_FOV[0] <= estimated <= PLAUSIBLE_FOV[1]:
            estimated = None
        depth, metric = raw, self.metric
        if self.output is Output.DISPARITY:
            depth = disparity_to_depth(raw)
        elif self.output is Output.INVERSE_PER_WIDTH:
            fov = fov_x_degrees or estimated
            metric = fov is not None
            focal_per_width = 0.5 / math.tan(math.radians(0.5 * fov)) if fov is not None else 1.0
            depth = focal_per_width / raw.clamp(1e-4, 1e4)
        depth = depth.clamp_min(MIN_DEPTH)
        sky_logits = getattr(outputs, "sky_logits", None)
        if sky_logits is not None:
            resized = _resized(sky_logits.float().cpu(), (size[0], size[1]))
            sky = remove_specks(resized > 0, radius=round(0.5 * SKY_OPENING * size[0]))
            if getattr(self.model.config, "smooth_surfaces", False):
                depth = torch.stack([smooth_surfaces(map_, ~none) for map_, none in zip(depth, sky, strict=True)])
            depth = torch.where(sky, torch.inf, depth)
        told = (getattr(outputs, name, None) for name in ("label_logits", "indoors_logits"))
        class_logits, indoors_logits = (None if logits is None else logits.float().cpu() for logits in told)
        return DepthPrediction(depth, metric, estimated, class_logits, indoors_logits)

    @torch.no_grad()
    def _run(self, images: Float[Tensor, "t h w 3"], **more: Tensor) -> tuple[Float[Tensor, "t h w"], Any]:
        """The model's depth or disparity maps at the size of the pictures, on the CPU, and its whole output."""
        size = (images.shape[1], images.shape[2])
        pictures = list(to_uint8(images))
        inputs = {**self.processor(images=pictures, return_tensors="pt", input_data_format="channels_last"), **more}
        outputs = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        raw = outputs.predicted_depth.float().cpu()
        if self._hook is not None:
            self._hook.offload()
        return _without_zoe_padding(raw, size) if _is_zoe_padded(self.processor) else _resized(raw, size), outputs


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    told = [part for part in parts if part is not None]
    return torch.cat(told) if told else None


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[-1] != 3 or images.numel() == 0:
        raise ValueError(f"depth estimation needs images [t, h, w, 3], got {list(images.shape)}")


def _is_embedded(folder: Path) -> bool:
    """Whether a folder holds a model of this package's own kind, which needs nothing of transformers."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == MODEL_TYPE


def _embedded(folder: Path) -> tuple[Any, Any]:
    """The model of this package's own kind in a folder, and what prepares its pictures."""
    return SmallDepth.from_folder(folder), PictureProcessor.from_folder(folder)


@quiet()
def _of_transformers(folder: Path) -> tuple[Any, Any]:
    """A model that transformers knows, and its image processor.

    That of Depth Pro needs torchvision to resize; DPT's does the same without it.
    """
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation, DPTImageProcessorPil

    settings = folder / "preprocessor_config.json"
    if settings.is_file() and "DepthPro" in settings.read_text(encoding="utf-8"):
        processor = DPTImageProcessorPil.from_pretrained(folder, keep_aspect_ratio=False, ensure_multiple_of=1, do_pad=False)
    else:
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    network = AutoModelForDepthEstimation.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    return network, processor


def output_of(config: Any) -> Output:
    """What the model of a configuration puts out.

    Raises:
        ValueError: it is not known, or no depth.
    """
    kind = config.model_type
    if kind in UNSUITED_TYPES:
        raise ValueError(f"a model of type {kind} cannot be used here: {UNSUITED_TYPES[kind]}")
    if kind not in OUTPUT_OF_TYPE:
        raise ValueError(
            f"it is not known what a model of type {kind} puts out; known types: {', '.join(sorted(OUTPUT_OF_TYPE))}"
        )
    if kind == "depth_anything" and config.depth_estimation_type == "metric":
        return Output.METRES
    if kind == "dpt" and getattr(config.backbone_config, "model_type", None) == "dinov2":
        return Output.METRES
    return OUTPUT_OF_TYPE[kind]


def disparity_to_depth(disparity: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
    """Depth from inverse depth that is known up to scale and shift only, median 1.

    The shift cannot be seen in one picture: it is set so that the far end (1st percentile) lies ``FAR_TO_NEAR`` times as far as
    the near end (99th), which is common in rooms and harmless outdoors.
    """
    flat = disparity.flatten(1)
    sample = flat[:, :: max(1, flat.shape[1] // 100_000)]
    far, near = (torch.quantile(sample, q, dim=1)[:, None, None] for q in (0.01, 0.99))
    span = (near - far).clamp_min(1e-6)
    inverse = (disparity - far) / span * (1 - 1 / FAR_TO_NEAR) + 1 / FAR_TO_NEAR
    depth = 1 / inverse.clamp_min(0.25 / FAR_TO_NEAR)
    return depth / depth.flatten(1).median(dim=1).values[:, None, None]


def _fitted(
    disparity: Float[Tensor, "h w"], known_depth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]
) -> Float[Tensor, "h w"]:
    """Depth from disparity whose scale and shift are those that fit what is known; assumed where too little is.

    Least squares on inverse depth, repeated without what is more than three median deviations off.
    """
    usable = known & torch.isfinite(known_depth) & (known_depth > 0)
    x, y = disparity[usable].double(), 1 / known_depth[usable].double()
    if len(x) < MIN_FITTED:
        return disparity_to_depth(disparity[None])[0]
    inlier = torch.ones_like(x, dtype=torch.bool)
    slope, shift = 0.0, 0.0
    for _ in range(FIT_ROUNDS):
        mx, my = x[inlier].mean(), y[inlier].mean()
        slope = float(((x[inlier] - mx) * (y[inlier] - my)).sum() / (x[inlier] - mx).square().sum().clamp_min(1e-12))
        shift = float(my) - slope * float(mx)
        off = (slope * x + shift - y).abs()
        inlier = off <= 3 * off[inlier].median().clamp_min(1e-9)
    if slope <= 0:  # what is known is flat, or is not what the picture shows: only its distance can be taken over
        relative = disparity_to_depth(disparity[None])[0]
        return relative * (known_depth[usable] / relative[usable]).median()
    farthest = MAX_DEPTH_FACTOR * float(known_depth[usable].max())
    return (1 / (slope * disparity + shift).clamp_min(1 / farthest)).to(disparity)


def _resized(maps: Float[Tensor, "t h w"], size: tuple[int, int]) -> Float[Tensor, "t H W"]:
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def _is_zoe_padded(processor: Any) -> bool:
    return type(processor).__name__.startswith("ZoeDepth") and bool(processor.do_pad)


def _without_zoe_padding(maps: Float[Tensor, "t h w"], size: tuple[int, int]) -> Float[Tensor, "t H W"]:
    """Enlarges and crops away ZoeDepth's reflected border: ``3 sqrt(side / 2)`` pixels of the picture on each end."""
    top, left = (int(3 * math.sqrt(side / 2)) for side in size)
    padded = _resized(maps, (size[0] + 2 * top, size[1] + 2 * left))
    return padded[:, top : top + size[0], left : left + size[1]]
