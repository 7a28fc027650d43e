"""Gaussians elsewhere, at another size, or in other colours."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.geometry.similarity import Similarity
from splatmem.render.spherical_harmonics import SH_C0, sh_basis

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB (Rec. 709)


def transformed(gaussians: Gaussians, similarity: Similarity) -> Gaussians:
    """The same Gaussians under a similarity; colours that depend on the view turn along."""
    rotation = similarity.rotation.to(gaussians.means)
    return gaussians.with_values(
        means=similarity(gaussians.means),
        quats=_turned_quats(gaussians.quats, rotation),
        log_scales=gaussians.log_scales + math.log(similarity.scale),
        sh=_turned(gaussians.sh, rotation),
    )


def _turned_quats(quats: Float[Tensor, "n 4"], rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "n 4"]:
    """Unit quaternions (w, x, y, z) of rotations that are followed by another: products, without any matrices."""
    w, x, y, z = rotations_to_quats(rotation[None])[0].tolist()
    product = quats.new_tensor([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return torch.nn.functional.normalize(quats @ product.T, dim=-1)


def _turned(sh: Float[Tensor, "n k 3"], rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "n k 3"]:
    """Coefficients of the turned colours, band by band: what is seen along ``R d`` is what was seen along ``d``."""
    degree = math.isqrt(sh.shape[1]) - 1
    if degree == 0:
        return sh
    # More directions than coefficients: the bands are closed under rotation, so the least squares have no residual.
    directions = torch.nn.functional.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)), dim=-1).double()
    before = sh_basis(directions @ rotation.cpu().double(), degree)  # of R^T d
    turn = torch.linalg.lstsq(sh_basis(directions, degree), before).solution.to(sh)
    return torch.einsum("kj,njc->nkc", turn, sh)


def recoloured(
    gaussians: Gaussians, exposure: float = 0.0, saturation: float = 1.0, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Gaussians:
    """The same Gaussians in other light.

    Args:
        exposure: in stops; the light is multiplied by ``2 ** exposure``.
        saturation: 0 is grey, 1 as it is.
        tint: factors of red, green and blue light.

    Raises:
        ValueError: a number is out of range.
    """
    if not (math.isfinite(exposure) and abs(exposure) <= 16):
        raise ValueError(f"exposure lies in -16..16 stops, got {exposure}")
    if not 0 <= saturation <= 16 or not all(0 <= factor <= 256 for factor in tint):
        raise ValueError(f"saturation lies in 0..16 and tint in 0..256, got {saturation} and {tint}")
    before = gaussians.rgb.clamp(0, 1)
    light = to_linear(before) * before.new_tensor(tint) * 2.0**exposure
    grey = (light * light.new_tensor(LUMINANCE)).sum(-1, keepdim=True)
    after = from_linear((grey + saturation * (light - grey)).clamp(0, 1))
    sh = gaussians.sh.clone()
    sh[:, 0] = (after - 0.5) / SH_C0
    sh[:, 1:] *= (after / before.clamp_min(1e-3)).clamp(max=8.0)[:, None]
    return gaussians.with_values(sh=sh)


def to_linear(srgb: Tensor) -> Tensor:
    """Light, 0..1, of sRGB values (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """sRGB values of light, 0..1."""
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-9) ** (1 / 2.4) - 0.055)
