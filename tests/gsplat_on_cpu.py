"""gsplat on tensors of a pretended CUDA device (``pretend_device``).

Either its own ``rasterization`` runs, with all that it checks and arranges, and plain torch stands for the kernels below it;
or, for whole runs, the package's kernels draw what gsplat is called for, under gsplat's own signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gsplat
import gsplat.rendering
import pytest
import torch
from gsplat.cuda import _torch_impl
from splatmem.render.rasterization import rasterization as on_cpu
from torch import Tensor

from render.oracle import Projected, composite

SIGNATURE = inspect.signature(gsplat.rasterization)


@dataclass(frozen=True)
class _Order:
    """What stands for the sorted list of intersections."""

    depths: Tensor
    image_ids: Tensor | None


def _projection(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor, width: int, height: int, *,
    eps2d: float, packed: bool, near_plane: float, far_plane: float, radius_clip: float, sparse_grad: bool,
    calc_compensations: bool, camera_model: str, opacities: Tensor,
) -> tuple:  # fmt: skip
    covariances, _ = _torch_impl._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    radii, means2d, depths, conics, compensations = _torch_impl._fully_fused_projection(
        means, covariances, viewmats, Ks, width, height, eps2d, near_plane, far_plane, calc_compensations, camera_model
    )
    radii = radii * (opacities >= 1 / 255)[..., None]
    if not packed:
        return radii, means2d, depths, conics, compensations
    cameras, ids = (radii > 0).all(-1).nonzero(as_tuple=True)
    assert compensations is None
    rows = (value[cameras, ids] for value in (radii, means2d, depths, conics))
    return torch.zeros_like(cameras), cameras, ids, *rows, None


def _intersections(means2d: Tensor, radii: Tensor, depths: Tensor, *sizes: int, packed: bool, **more: Any) -> tuple:
    order = _Order(torch.where((radii > 0).all(-1), depths, torch.inf), more["image_ids"] if packed else None)
    return None, None, order


def _offsets(isect_ids: None, images: int, tile_width: int, tile_height: int) -> Tensor:
    return torch.zeros(images, tile_height, tile_width, dtype=torch.int32)


def _pixels(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, width: int, height: int, tile_size: int,
    isect_offsets: Tensor, flatten_ids: _Order, backgrounds: Tensor | None, packed: bool, absgrad: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    assert colors.shape[-1] <= 32, "gsplat's kernels are compiled for 32 channels and a few larger numbers"
    assert colors.device == opacities.device == means2d.device == conics.device
    images, alphas = [], []
    for view in range(len(isect_offsets)):
        rows = flatten_ids.image_ids == view if packed else view
        parts = [value[rows].cpu()[None] for value in (means2d, flatten_ids.depths, conics, opacities)]
        drawn = Projected(torch.isfinite(parts[1]), *parts)
        image, alpha = composite(drawn, 0, colors[rows].cpu(), width, height)
        if backgrounds is not None:
            assert backgrounds.shape[-1] == colors.shape[-1]
            image = image + (1 - alpha) * backgrounds[view].cpu()
        images.append(image)
        alphas.append(alpha)
    return torch.stack(images).to(means2d.device), torch.stack(alphas).to(means2d.device)


def _harmonics(degree: int, directions: Tensor, coefficients: Tensor, masks: Tensor) -> Tensor:
    return _torch_impl._spherical_harmonics(degree, directions, coefficients)


@contextmanager
def kernels_in_torch() -> Iterator[None]:
    """gsplat's own Python, with plain torch for its kernels: slow, for small scenes."""
    stand_ins = {
        "fully_fused_projection": _projection, "isect_tiles": _intersections, "isect_offset_encode": _offsets,
        "rasterize_to_pixels": _pixels, "spherical_harmonics": _harmonics,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setattr(gsplat.rendering, name, stand_in)
        yield


@contextmanager
def drawn_on_cpu() -> Iterator[list[dict[str, Any]]]:
    """The package's kernels under gsplat's signature; yields what each call was given."""
    calls: list[dict[str, Any]] = []

    def rasterization(*args: Any, **options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        given = SIGNATURE.bind(*args, **options).arguments
        tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
        assert all(value.is_cuda for value in tensors.values()), {name: value.device for name, value in tensors.items()}
        calls.append(given)
        image, alpha, meta = on_cpu(**given | {name: value.cpu() for name, value in tensors.items()})
        moved = {name: value.to("cuda") if isinstance(value, Tensor) else value for name, value in meta.items()}
        return image.to("cuda"), alpha.to("cuda"), moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gsplat, "rasterization", rasterization)
        patch.setattr("splatmem.models.hardware.why_gsplat_cannot_draw", lambda: None)
        yield calls
