"""The embedded depth model: convolutions and a vision transformer into a light feature pyramid.

The layers are a mixin of two classes with the same weights: ``SmallDepth``, plain PyTorch, which a run uses, and
``splatmem.depth.embedded.pretrained.SmallDepthForDepthEstimation``, which transformers loads and saves. Importing transformers
takes longer than all that a run imports beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from splatmem.depth.embedded.efficientnet import TAPPED_CHANNELS, EfficientNetLite0
from splatmem.depth.embedded.quantized import quantize_linears
from splatmem.depth.embedded.token_stream import TokenMaps, TokenStream, grid_of
from splatmem.threads import kernel_threads, side_by_side, torch_alone

MODEL_TYPE = "splatmem_small_depth"  # in a folder's config.json
INDOORS_FILE = "indoors.safetensors"  # weights of the layer that tells whether a picture was taken indoors, where there is one
MOST_THREADS_APART = 4  # up to so many threads, a picture and its mirror image are each looked at by one of them


class Settings(Protocol):
    """What the layers are built by: ``SmallDepthSettings``, or transformers' form of it."""

    pyramid_channels: int
    mirrored: bool
    detail_share: float
    upsampling: Literal["bilinear", "convex"]
    transformer: Sequence[int] | None
    tokens: int
    labels: int
    quantized: bool


@dataclass
class SmallDepthSettings:
    """Width of the decoder, and what sees the picture beside the convolutions.

    Attributes:
        pyramid_channels: width of the decoder.
        mirrored: whether the overall structure is the mean of what the picture and its mirror image give.
        detail_share: what is finer than this share of the shorter side comes from the picture alone.
        upsampling: how maps of half the size are enlarged: ``bilinear``, or ``convex``, which can make steps of one pixel.
        transformer: width and depth of a vision transformer that sees the picture beside the convolutions; none if absent.
        tokens: about so many tokens the transformer divides a picture into.
        quantized: whether the transformer's linear layers are kept as 8-bit integers.
        smooth_surfaces: whether ``splatmem.depth.surfaces`` is to be applied to the maps.
        labels: number of classes that the transformer's stream tells apart; 0 for none.
        model_type: by which ``splatmem.depth.huggingface`` knows what comes out.
    """

    pyramid_channels: int = 64
    mirrored: bool = False
    detail_share: float = 1 / 8
    upsampling: Literal["bilinear", "convex"] = "bilinear"
    transformer: Sequence[int] | None = None
    tokens: int = 600
    labels: int = 0
    quantized: bool = False
    smooth_surfaces: bool = False
    model_type: str = MODEL_TYPE

    @staticmethod
    def from_folder(folder: Path) -> SmallDepthSettings:
        """What a folder's ``config.json`` says; what it does not say has its default."""
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return SmallDepthSettings(**{f.name: told[f.name] for f in fields(SmallDepthSettings) if f.name in told})


@dataclass
class SmallDepthMaps:
    """What the network tells of ``b`` pictures.

    Attributes:
        predicted_depth: z-depth, roughly metres, ``[b, h, w]``.
        sky_logits: logits of sky, ``[b, h, w]``.
        label_logits: a logit for each class, ``[b, k, H, W]`` at the size of the tokens' grid times two, or None.
        indoors_logits: logits of a picture's being taken indoors, ``[b]``, or None.
    """

    predicted_depth: Float[Tensor, "b h w"]
    sky_logits: Float[Tensor, "b h w"]
    label_logits: Float[Tensor, "b k H W"] | None = None
    indoors_logits: Float[Tensor, " b"] | None = None


@dataclass
class _Seen:
    """What is told of pictures that are looked at once; ``mean``: as ``TokenMaps`` has it."""

    log_depth: Float[Tensor, "b h w"]
    sky_logits: Float[Tensor, "b h w"]
    label_logits: Float[Tensor, "b k H W"] | None
    mean: Float[Tensor, "b m"] | None


class SmallDepthLayers:
    """Monocular z-depth at half the input's resolution, enlarged; to be mixed into an ``nn.Module``."""

    config: Settings

    def add_layers(self, config: Settings) -> None:
        """Sets the layers that make maps of the backbone's tokens."""
        width = config.pyramid_channels
        self.encoder = EfficientNetLite0()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width if i else 24, 1) for i, c in enumerate(TAPPED_CHANNELS))
        self.context = nn.Linear(TAPPED_CHANNELS[-1], width)
        self.refine = nn.ModuleList(_refinement(width) for _ in range(4))
        self.head = nn.Sequential(
            nn.Conv2d(width + 24 + 3, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 2, 3, padding=1),
        )
        self.enlarge = ConvexUpsampling(32) if config.upsampling == "convex" else None
        self.indoors: nn.Linear | None = None
        self.stream: TokenStream | None = None
        if config.transformer is not None:
            self.stream = TokenStream(config.transformer[0], config.transformer[1], channels=width, labels=config.labels)
            if config.quantized:
                quantize_linears(self.stream.transformer.blocks)

    def token_maps(self, pixel_values: Float[Tensor, "b 3 h w"], tokens: int | None = None) -> TokenMaps | None:
        """What the transformer adds, from about ``tokens`` tokens; None where there is no transformer."""
        if self.stream is None:
            return None
        height, width = pixel_values.shape[-2:]
        return self.stream(pixel_values, grid_of(height, width, tokens or self.config.tokens))

    def half_size_maps(
        self, pixel_values: Float[Tensor, "b 3 h w"], added: TokenMaps | None = None
    ) -> tuple[Float[Tensor, "b 2 H W"], Float[Tensor, "b 32 H W"]]:
        """Log z-depth and sky logits at half the input's size, rounded up, and the features that they come from."""
        features = self.encoder(pixel_values)
        x = self.lateral[4](features[4]) + self.context(features[4].mean((2, 3)))[:, :, None, None]
        x = self.refine[3](x)
        for level in (3, 2, 1):
            x = F.interpolate(x, size=features[level].shape[-2:], mode="bilinear", align_corners=False)
            x = x + self.lateral[level](features[level])
            if added is not None:
                x = x + F.interpolate(added.levels[level - 1], size=x.shape[-2:], mode="bilinear", align_corners=False)
            x = self.refine[level - 1](x)
        size = features[0].shape[-2:]
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        image = F.interpolate(pixel_values, size=size, mode="area")
        hidden = self.head[:-1](torch.cat([x, self.lateral[0](features[0]), image], dim=1))
        # Log depth needs more than bfloat16's three digits.
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head[-1](hidden.to(self.head[-1].weight.dtype)), hidden

    def log_depth_and_sky(
        self, pixel_values: Float[Tensor, "b 3 h w"], added: TokenMaps | None = None
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
        """Log z-depth and sky logits at the input's size."""
        maps, hidden = self.half_size_maps(pixel_values, added)
        if self.enlarge is None:
            maps = F.interpolate(maps, size=pixel_values.shape[-2:], mode="bilinear", align_corners=False)
        else:
            maps = self.enlarge(maps, hidden, pixel_values)
        return maps[:, 0], maps[:, 1]

    def maps(self, pixel_values: Float[Tensor, "b 3 h w"]) -> SmallDepthMaps:
        """Depth at the input's size. Input: ImageNet-Lite scaling, RGB in -1..1.

        Where the configuration asks for it, what is coarser than ``detail_share`` of the shorter side is the mean of what the
        picture and its mirror image give; finer detail is the picture's own, so that outlines stay sharp. Classes are both's.
        """
        seen = self._seen(pixel_values) if not self.config.mirrored else self._seen_twice(pixel_values)
        indoors = None if self.indoors is None or seen.mean is None else self.indoors(seen.mean)[:, 0]
        return SmallDepthMaps(seen.log_depth.clamp(-6, 8).exp(), seen.sky_logits, seen.label_logits, indoors)

    def _seen_twice(self, pixel_values: Float[Tensor, "b 3 h w"]) -> _Seen:
        """What is told of pictures and of their mirror images."""
        pictures = [pixel_values, pixel_values.flip(-1)]
        alone = pixel_values.device.type == "cpu" and not torch.is_grad_enabled() and kernel_threads() <= MOST_THREADS_APART
        if alone:  # each on a thread of its own, which never waits for the other
            with torch_alone(pixel_values[:, 0].numel()):
                own, other = side_by_side(self._seen, pictures)
        else:
            own, other = (self._seen(picture) for picture in pictures)
        radius = max(1, round(self.config.detail_share * min(pixel_values.shape[-2:])))
        log_depth = own.log_depth + 0.5 * _low_pass(other.log_depth.flip(-1) - own.log_depth, radius)
        labels, mean = own.label_logits, own.mean
        if labels is not None and other.label_logits is not None:
            labels = 0.5 * (labels + other.label_logits.flip(-1))
        if mean is not None and other.mean is not None:
            mean = 0.5 * (mean + other.mean)
        return _Seen(log_depth, 0.5 * (own.sky_logits + other.sky_logits.flip(-1)), labels, mean)

    def _seen(self, pixel_values: Float[Tensor, "b 3 h w"]) -> _Seen:
        added = self.token_maps(pixel_values)
        log_depth, sky_logits = self.log_depth_and_sky(pixel_values, added)
        return (
            _Seen(log_depth, sky_logits, None, None)
            if added is None
            else _Seen(log_depth, sky_logits, added.label_logits, added.mean)
        )


class SmallDepth(SmallDepthLayers, nn.Module):
    """The network as plain PyTorch."""

    def __init__(self, config: SmallDepthSettings) -> None:
        super().__init__()
        self.config = config
        self.add_layers(config)

    @staticmethod
    def from_folder(folder: Path) -> SmallDepth:
        """The network in a folder that transformers' form of it was saved to, in single precision; integers are mapped, not
        copied.

        Raises:
            RuntimeError: the file of weights is another network's.
        """
        with torch.device("meta"):
            network = SmallDepth(SmallDepthSettings.from_folder(folder))
        weights = load_file(folder / "model.safetensors")
        whole = {name: weight.float() if weight.is_floating_point() else weight for name, weight in weights.items()}
        network.load_state_dict(whole, assign=True)
        if (folder / INDOORS_FILE).is_file():
            told = load_file(folder / INDOORS_FILE)
            layer = network.indoors = nn.Linear(told["weight"].shape[1], 1, device="meta")
            layer.load_state_dict({name: weight.float() for name, weight in told.items()}, assign=True)
        return network.eval()

    @property
    def device(self) -> torch.device:
        """The device on which the weights lie."""
        return next(self.parameters()).device

    def forward(self, pixel_values: Float[Tensor, "b 3 h w"]) -> SmallDepthMaps:
        return self.maps(pixel_values)


class ConvexUpsampling(nn.Module):
    """Doubles the size of maps: each new pixel is a weighted mean of nine old ones (Teed & Deng 2020, RAFT).

    The weights are learnt from features and from the picture at full size, so that a step of depth can lie where the picture
    has it, one pixel wide. They begin as those of bilinear interpolation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv2d(channels + 12, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 36, 3, padding=1),
        )
        last = self.weights[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        if last.weight.is_meta:  # weights are still to come; normal numbers for none would import PyTorch's compiler
            return
        nn.init.normal_(last.weight, std=1e-3)
        with torch.no_grad():
            last.bias.copy_(_bilinear_logits().flatten())

    def forward(
        self, maps: Float[Tensor, "b c H W"], features: Float[Tensor, "b f H W"], picture: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b c h w"]:
        """``maps`` at the picture's size; an odd side is cropped."""
        count, channels, height, width = maps.shape
        full = F.pad(picture, (0, 2 * width - picture.shape[-1], 0, 2 * height - picture.shape[-2]), mode="replicate")
        logits = self.weights(torch.cat([features, F.pixel_unshuffle(full, 2)], dim=1))
        weights = logits.float().reshape(count, 9, 4, height, width).softmax(dim=1).to(maps.dtype)
        neighbours = F.unfold(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3).reshape(count, channels, 9, height, width)
        with torch.autocast(maps.device.type, enabled=False):
            fine = torch.einsum("bcnhw,bnshw->bcshw", neighbours, weights).reshape(count, channels * 4, height, width)
        return F.pixel_shuffle(fine, 2)[..., : picture.shape[-2], : picture.shape[-1]]


def _bilinear_logits() -> Float[Tensor, "9 4"]:
    """Logs of the weights of bilinear interpolation: neighbours of a 3x3 window by the four new pixels; others nearly 0."""
    weights = torch.full((3, 3, 2, 2), 1e-3)
    for y in range(2):
        for x in range(2):
            for dy, wy in ((1, 0.75), (2 * y, 0.25)):
                for dx, wx in ((1, 0.75), (2 * x, 0.25)):
                    weights[dy, dx, y, x] = wy * wx
    return weights.log().reshape(9, 4)


def _low_pass(maps: Float[Tensor, "b h w"], radius: int) -> Float[Tensor, "b h w"]:
    """Maps blurred by three box filters of ``2 radius + 1`` pixels in a row, which is nearly a Gaussian blur."""
    side = 2 * radius + 1
    for _ in range(3):
        maps = F.pad(maps[:, None], (radius,) * 4, mode="replicate")[:, 0]
        for axis in (-1, -2):
            # Adding shifted maps takes a fifth of the time of pooling, which adds up pixel after pixel.
            length = maps.shape[axis] - side + 1
            mean = maps.narrow(axis, 0, length).clone()
            for step in range(1, side):
                mean += maps.narrow(axis, step, length)
            maps = mean / side
    return maps


def _refinement(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
