"""gsplat on tensors of a pretended CUDA device (``pretend_device``).

Either its own Python runs, with all that it checks and arranges, and plain torch stands for its compiled functions; or, for
whole runs, the package's kernels draw what gsplat is called for, under gsplat's own signature.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import gsplat
import pytest
import torch
from gsplat.cuda import _torch_impl, _wrapper
from splatmem.render.rasterization import rasterization as on_cpu
from torch import Tensor

from render.oracle import Projected, composite

SIGNATURE = inspect.signature(gsplat.rasterization)
# Channels that the compositing kernel is compiled for.
COMPILED_CHANNELS = {1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 513}


def _checked(*tensors: Tensor | None) -> None:
    """What the kernels ask of floating tensors (``CHECK_INPUT`` and ``data_ptr<float>`` in gsplat's csrc)."""
    for tensor in (tensor for tensor in tensors if tensor is not None):
        assert tensor.is_cuda
        assert tensor.is_contiguous()
        assert tensor.dtype == torch.float32


class _Kernels:
    """Plain torch with the arguments of gsplat's compiled functions; one call's intersections at a time."""

    def __init__(self) -> None:
        self.depths = torch.empty(0)
        self.image_ids: Tensor | None = None

    def project(
        self, means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor, width: int, height: int,
        eps2d: float, near_plane: float, far_plane: float, radius_clip: float, calc_compensations: bool, camera_model: str,
        opacities: Tensor,
    ) -> tuple:  # fmt: skip
        _checked(means, quats, scales, viewmats, Ks, opacities)
        covariances, _ = _torch_impl._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
        radii, *rest = _torch_impl._fully_fused_projection(
            means, covariances, viewmats, Ks, width, height, eps2d, near_plane, far_plane, calc_compensations, camera_model
        )
        return radii * (opacities >= 1 / 255)[..., None, :, None], *rest

    def project_packed(self, means: Tensor, *arguments: Any) -> tuple:
        assert means.shape[-2] > 0, "the kernel divides by the number of Gaussians"
        *before, _, calc_compensations, camera_model, opacities = arguments
        radii, *values = self.project(means, *before, calc_compensations, camera_model, opacities)
        views = radii.flatten(0, -3)
        images, ids = (views > 0).all(-1).nonzero(as_tuple=True)
        cameras = before[3].shape[-3]
        rows = [None if v is None else v.reshape(len(views), views.shape[1], *v.shape[radii.ndim - 1 :]) for v in values]
        packed = [None if v is None else v[images, ids] for v in (views, *rows)]
        return images // cameras, images % cameras, ids, *packed

    def intersect_tile(
        self, means2d: Tensor, radii: Tensor, depths: Tensor, image_ids: Tensor | None, gaussian_ids: Tensor | None, *sizes: Any
    ) -> tuple:
        _checked(means2d, depths)
        self.depths = torch.where((radii > 0).all(-1), depths, torch.inf)
        self.image_ids = image_ids
        nothing = torch.zeros(0, dtype=torch.int32, device=means2d.device)
        return nothing, nothing, nothing

    def intersect_offset(self, isect_ids: Tensor, images: int, tile_width: int, tile_height: int) -> Tensor:
        return torch.zeros(images, tile_height, tile_width, dtype=torch.int32, device=isect_ids.device)

    def composite(
        self, means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: Tensor | None, masks: None,
        width: int, height: int, tile_size: int, isect_offsets: Tensor, flatten_ids: Tensor, absgrad: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        _checked(means2d, conics, colors, opacities, backgrounds)
        assert colors.shape[-1] in COMPILED_CHANNELS
        dims = isect_offsets.shape[:-2]
        views = range(math.prod(dims))
        kinds = (means2d, self.depths, conics, opacities, colors)
        if self.image_ids is None:
            parts = [[kind.flatten(0, len(dims) - 1)[view].cpu() for kind in kinds] for view in views]
        else:
            parts = [[kind[self.image_ids == view].cpu() for kind in kinds] for view in views]
        drawn = [
            composite(Projected(torch.isfinite(z)[None], m[None], z[None], c[None], o[None]), 0, colours, width, height)
            for m, z, c, o, colours in parts
        ]
        image, alpha = (torch.stack(list(values)).unflatten(0, dims) for values in zip(*drawn, strict=True))
        if backgrounds is not None:
            image = image + (1 - alpha) * backgrounds.cpu().reshape(*dims, 1, 1, -1)
        return image.to(means2d.device), alpha.to(means2d.device)

    def harmonics(self, degree: int, directions: Tensor, coefficients: Tensor, masks: Tensor) -> Tensor:
        _checked(directions, coefficients)
        return _torch_impl._spherical_harmonics(degree, directions, coefficients)


@contextmanager
def kernels_in_torch() -> Iterator[None]:
    """All of gsplat's own Python, with what it asserts, and plain torch for its kernels: slow, for small scenes."""
    kernels = _Kernels()
    stand_ins = {
        "_FullyFusedProjection": kernels.project, "_FullyFusedProjectionPacked": kernels.project_packed,
        "_RasterizeToPixels": kernels.composite, "_SphericalHarmonics": kernels.harmonics,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setattr(_wrapper, name, SimpleNamespace(apply=stand_in))
        patch.setattr(_wrapper, "_make_lazy_cuda_func", lambda name: getattr(kernels, name))
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
