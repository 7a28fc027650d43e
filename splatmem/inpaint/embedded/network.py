"""A small U-Net that turns noisy RGB-D windows into clean ones, all frames of a window jointly.

The layers are a mixin of two classes with the same weights: ``WindowUNet``, plain PyTorch, which a run uses, and
``splatmem.inpaint.embedded.unet.RGBDWindowUNet``, which diffusers loads and saves. Importing diffusers takes longer than all
that a run imports beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

CHANNELS, EMBEDDING, PATCH = (32, 80, 160), 192, 2  # of the shipped network
WEIGHTS = "diffusion_pytorch_model.safetensors"  # as diffusers names the file
GEOMETRY_CHANNELS = 6  # position on the room's sides and ray direction, both in the room's axes
KNOWN_PROVENANCE = 0.75  # provenance above which a pixel counts as known
INPUT_CHANNELS = 4 + 4 + 4 + 1 + GEOMETRY_CHANNELS


def _silence(layer: nn.Module) -> None:
    """``module`` with all weights set to zero, so that the residual block that ends with it begins as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group norm, scaled and shifted by the noise level."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels_out)
        self.norm2 = nn.GroupNorm(8, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        _silence(self.conv2)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.norm2(hidden) * (1 + scale) + shift
        return self.skip(x) + self.conv2(F.silu(hidden))


class WindowAttention(nn.Module):
    """Self-attention over all pixels of all frames of a window, then a small MLP."""

    def __init__(self, channels: int, head: int = 32) -> None:
        super().__init__()
        self.heads = max(1, channels // head)
        self.norm1 = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.to_out = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))
        _silence(self.to_out)
        _silence(self.mlp[2])

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """``x`` is ``[batch * frames, c, h, w]``."""
        _, channels, height, width = x.shape
        tokens = x.unflatten(0, (-1, frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        qkv = self.to_qkv(self.norm1(tokens)).unflatten(-1, (3, self.heads, channels // self.heads))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.to_out(mixed)
        tokens = tokens + self.mlp(self.norm2(tokens))
        grid = tokens.unflatten(1, (frames, height, width)).permute(0, 1, 4, 2, 3)
        return grid.flatten(0, 1).contiguous(memory_format=torch.channels_last)


class WindowLayers:
    """Predicts the clean window from a noisy one, as a correction of the proposal; to be mixed into an ``nn.Module``.

    All pictures have four channels: sRGB scaled to -1..1 and normalised log depth (see ``sampling.encode_depth``).
    """

    def add_layers(self, channels: Sequence[int], embedding: int, patch: int) -> None:
        """Sets the layers; the parameters are those of ``WindowUNet``."""
        fine, middle, coarse = channels
        self.patch = patch
        self.embed = nn.Sequential(nn.Linear(64, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())
        self.stem = nn.Conv2d(INPUT_CHANNELS * patch * patch, fine, 1)
        self.down_fine = ResidualBlock(fine, fine, embedding)
        self.to_middle = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.down_middle = ResidualBlock(middle, middle, embedding)
        self.down_middle_attention = WindowAttention(middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse_blocks = nn.ModuleList(ResidualBlock(coarse, coarse, embedding) for _ in range(2))
        self.coarse_attentions = nn.ModuleList(WindowAttention(coarse) for _ in range(2))
        self.from_coarse = nn.Conv2d(coarse, middle, 1)
        self.up_middle = ResidualBlock(2 * middle, middle, embedding)
        self.up_middle_attention = WindowAttention(middle)
        self.from_middle = nn.Conv2d(middle, fine, 1)
        self.up_fine = nn.ModuleList([ResidualBlock(2 * fine, fine, embedding), ResidualBlock(fine, fine, embedding)])
        self.head_norm = nn.GroupNorm(8, fine)
        self.head = nn.Conv2d(fine, 4 * patch * patch, 3, padding=1)
        _silence(self.head)

    def forward(
        self,
        sample: Float[Tensor, "b t 4 h w"],
        sigma: Float[Tensor, " b"],
        proposal: Float[Tensor, "b t 4 h w"],
        partial: Float[Tensor, "b t 4 h w"],
        provenance: Float[Tensor, "b t 1 h w"],
        geometry: Float[Tensor, "b t 6 h w"],
    ) -> Float[Tensor, "b t 4 h w"]:
        """Clean window at noise level ``sigma`` (1 = proposal plus noise, 0 = clean).

        ``provenance`` says what a pixel of the proposal stands on: 1 is known (and ``partial`` is read), 0.5 copied from
        elsewhere, 0 nothing. ``h`` and ``w`` are multiples of ``patch``.
        """
        frames, patch = sample.shape[1], self.patch
        composite = torch.where(provenance > KNOWN_PROVENANCE, partial, proposal)
        inputs = torch.cat([sample, composite, proposal, provenance * 2 - 1, geometry], dim=2).flatten(0, 1)
        x = F.pixel_unshuffle(inputs, patch).contiguous(memory_format=torch.channels_last)
        embedding = self.embed(_fourier_features(sigma)).repeat_interleave(frames, dim=0)

        fine = self.down_fine(self.stem(x), embedding)
        middle = self.down_middle_attention(self.down_middle(self.to_middle(fine), embedding), frames)
        coarse = self.to_coarse(middle)
        for block, attention in zip(self.coarse_blocks, self.coarse_attentions, strict=True):
            coarse = attention(block(coarse, embedding), frames)
        x = F.interpolate(self.from_coarse(coarse), size=middle.shape[-2:], mode="nearest")
        x = self.up_middle_attention(self.up_middle(torch.cat([x, middle], dim=1), embedding), frames)
        x = F.interpolate(self.from_middle(x), size=fine.shape[-2:], mode="nearest")
        x = torch.cat([x, fine], dim=1)
        for block in self.up_fine:
            x = block(x, embedding)
        correction = F.pixel_shuffle(self.head(F.silu(self.head_norm(x))), patch)
        return composite + correction.unflatten(0, (-1, frames))


class WindowUNet(WindowLayers, nn.Module):
    """The network as plain PyTorch.

    Args:
        channels: widths of the three levels; multiples of 8.
        embedding: width of the noise level's embedding.
        patch: side of the pixel patches that the first layer joins.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS, embedding: int = EMBEDDING, patch: int = PATCH) -> None:
        super().__init__()
        self.add_layers(channels, embedding, patch)

    @staticmethod
    def from_folder(folder: Path) -> WindowUNet:
        """The network that ``RGBDWindowUNet.save_pretrained`` wrote, in single precision.

        Raises:
            RuntimeError: the file of weights is another network's.
        """
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        with torch.device("meta"):
            network = WindowUNet(config["channels"], config["embedding"], config["patch"])
        weights = load_file(folder / WEIGHTS)
        network.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
        return network.eval()


def _fourier_features(sigma: Float[Tensor, " b"]) -> Float[Tensor, "b 64"]:
    frequencies = torch.exp(torch.linspace(0, math.log(100.0), 32, device=sigma.device, dtype=sigma.dtype))
    phase = sigma[:, None] * frequencies * math.pi
    return torch.cat([phase.sin(), phase.cos()], dim=1)
