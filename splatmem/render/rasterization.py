"""Gaussian splatting behind gsplat's functional signature: gsplat on CUDA tensors, the package's own kernels on the CPU.

The CPU path computes what gsplat 1.5 computes: the EWA projection (Zwicker et al. 2001, "EWA Volume Splatting") with a
low-pass of ``eps2d`` square pixels, then front-to-back compositing (Kerbl et al. 2023, "3D Gaussian Splatting") with alphas
capped at 0.999, alphas below 1/255 dropped, and a stop before a pixel's transmittance would fall to 1e-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.render.extension import load_kernels
from splatmem.render.spherical_harmonics import view_colors

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
MAX_IMAGE_SIDE = 32768
ALPHA_FLOOR = 1e-10  # of the division that turns accumulated into expected depth, as in gsplat


@dataclass(frozen=True)
class ProjectionSettings:
    """What the projection needs beside the tensors; the names and meanings are gsplat's."""

    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if not 1 <= side <= MAX_IMAGE_SIDE:
                raise ValueError(f"{name} must lie in 1..{MAX_IMAGE_SIDE} pixels, got {side}")
        if not 0 < self.near_plane < self.far_plane:
            raise ValueError(f"expected 0 < near_plane < far_plane, got {self.near_plane} and {self.far_plane}")
        if not (self.eps2d >= 0 and self.radius_clip >= 0):
            raise ValueError(f"eps2d and radius_clip must not be negative, got {self.eps2d} and {self.radius_clip}")


def rasterization(
    means: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    opacities: Float[Tensor, " n"],
    colors: Tensor,
    viewmats: Float[Tensor, "c 4 4"],
    Ks: Float[Tensor, "c 3 3"],
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Float[Tensor, "c d"] | None = None,
    render_mode: RenderMode = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    channel_chunk: int = 32,
    **unsupported: Any,
) -> tuple[Float[Tensor, "c h w x"], Float[Tensor, "c h w 1"], dict[str, Any]]:
    """Draws ``n`` Gaussians into ``c`` views, as ``gsplat.rasterization`` does; CUDA tensors are handed to gsplat itself.

    Args:
        means: centres in the world.
        quats: rotations ``wxyz`` of any length; a zero quaternion counts as no rotation.
        scales: standard deviations along the local axes, in world units.
        opacities: in 0..1, after the sigmoid.
        colors: channels ``[n, d]`` or, per view, ``[c, n, d]``, of any number; with ``sh_degree`` coefficients
            ``[n, k, 3]`` or ``[c, n, k, 3]``.
        viewmats: world-to-camera transforms, OpenCV axes. No gradient flows to them on the CPU.
        Ks: pinhole intrinsics in pixels, no skew; pixel centres lie at +0.5.
        width, height: image size in pixels.
        near_plane, far_plane: only Gaussians whose centre has a z-depth between the two are drawn.
        radius_clip: Gaussians whose radii in pixels are at most this are skipped.
        eps2d: variance in square pixels that is added to every projected Gaussian.
        sh_degree: degree to evaluate, 0 to 3, if ``colors`` holds spherical-harmonic coefficients.
        packed: layout of ``meta`` alone: one row per visible Gaussian and view, or ``[c, n, ...]`` with zero radii for the
            invisible ones.
        tile_size, channel_chunk: tuning of the CUDA kernels; without effect on the CPU.
        backgrounds: colour behind each view; black if None.
        render_mode: "RGB" draws ``colors``; "D" the accumulated depth ``sum(w z)``, "ED" the expected one,
            ``sum(w z) / alpha``; "RGB+D" and "RGB+ED" append it as the last channel.

    Returns:
        The image ``[c, h, w, x]``, the accumulated alpha ``[c, h, w, 1]``, and a dictionary with ``means2d``, ``radii``,
        ``depths``, ``conics`` and ``opacities`` of the projected Gaussians (no gradient flows through it on the CPU).
        Gaussians with a parameter that is not finite are not drawn and get zero gradients.

    Raises:
        ValueError: if a shape, dtype, device or setting does not fit.
        NotImplementedError: if an option of gsplat is asked for that the CPU kernels do not have; it names the argument.
        ImportError: if the kernels were not built.
    """
    if means.is_cuda:
        import gsplat

        return gsplat.rasterization(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height, near_plane, far_plane, radius_clip,
            eps2d, sh_degree, packed, tile_size, backgrounds, render_mode, sparse_grad, absgrad, rasterize_mode,
            channel_chunk, **unsupported,
        )  # fmt: skip
    _refuse("rasterize_mode", rasterize_mode, "classic")
    _refuse("sparse_grad", sparse_grad, False)
    _refuse("absgrad", absgrad, False)
    for name, value in unsupported.items():
        _refuse(name, value, "pinhole" if name == "camera_model" else None)
    if sh_degree is not None:
        _check_sh(means, colors, viewmats)
        colors = view_colors(means, colors, viewmats, sh_degree)
    settings = ProjectionSettings(width, height, near_plane, far_plane, radius_clip, eps2d)
    image, alpha, views = _draw(means, quats, scales, opacities, colors, viewmats, Ks, settings, backgrounds, render_mode)
    return image, alpha, _meta(views, len(means), packed, settings)


def render_views(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    backgrounds: Tensor | None = None,
    render_mode: RenderMode = "RGB",
) -> tuple[Tensor, Tensor]:
    """``rasterization`` of plain channels with its default settings, without the cost of its ``meta``."""
    if means.is_cuda:
        return rasterization(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            backgrounds=backgrounds, render_mode=render_mode,
        )[:2]  # fmt: skip
    settings = ProjectionSettings(width, height)
    return _draw(means, quats, scales, opacities, colors, viewmats, Ks, settings, backgrounds, render_mode)[:2]


def _draw(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    settings: ProjectionSettings,
    backgrounds: Tensor | None,
    render_mode: RenderMode,
) -> tuple[Tensor, Tensor, list]:
    if render_mode not in get_args(RenderMode):
        raise ValueError(f"render_mode must be one of {', '.join(get_args(RenderMode))}, got {render_mode!r}")
    if render_mode in ("D", "ED"):
        colors, backgrounds = means.new_zeros(len(means), 0), None
    _check_tensors(means, quats, scales, opacities, colors, viewmats, Ks, backgrounds)
    with_depth = render_mode != "RGB"
    if backgrounds is not None and with_depth:
        backgrounds = torch.nn.functional.pad(backgrounds, (0, 1))
    views: list = []
    image, alpha = _Rasterize.apply(
        means, quats, scales, opacities, colors, viewmats, Ks, backgrounds, settings, with_depth, views
    )
    if render_mode.endswith("ED"):
        expected = image[..., -1:] / alpha.clamp_min(ALPHA_FLOOR)
        image = torch.cat([image[..., :-1], expected], dim=-1)
    return image, alpha, views


class _Rasterize(torch.autograd.Function):
    """The CPU kernels, view by view. ``views`` receives what each view's projection left, for ``meta``."""

    @staticmethod
    def forward(ctx, means, quats, scales, opacities, colors, viewmats, Ks, backgrounds, settings, with_depth, views):
        kernels = load_kernels()
        inputs = [t.detach().contiguous() for t in (means, quats, scales, opacities, colors)]
        count, channels = len(viewmats), colors.shape[-1] + with_depth
        image = torch.empty(count, settings.height, settings.width, channels)
        alpha = torch.empty(count, settings.height, settings.width, 1)
        for i in range(count):
            views.append(
                kernels.render(
                    *_view_inputs(inputs, i),
                    viewmats[i].detach().contiguous(),
                    Ks[i].detach().contiguous(),
                    None if backgrounds is None else backgrounds[i].detach().contiguous(),
                    image[i],
                    alpha[i],
                    near_plane=settings.near_plane,
                    far_plane=settings.far_plane,
                    radius_clip=settings.radius_clip,
                    eps2d=settings.eps2d,
                    with_depth=with_depth,
                    threads=torch.get_num_threads(),
                )
            )
        ctx.save_for_backward(*inputs, image, alpha)
        ctx.views, ctx.has_background = list(views), backgrounds is not None
        return image, alpha

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_image, grad_alpha):
        *inputs, image, alpha = ctx.saved_tensors
        grad_image, grad_alpha = grad_image.contiguous(), grad_alpha.contiguous()
        # The kernels clear what all views share; of colours per view they see one view at a time.
        grads = [torch.empty_like(t) for t in inputs[:-1]]
        grads.append(torch.zeros_like(inputs[-1]) if inputs[-1].ndim == 3 else torch.empty_like(inputs[-1]))
        for i, view in enumerate(ctx.views):
            view.backward(
                *_view_inputs(inputs, i),
                image[i],
                alpha[i],
                grad_image[i],
                grad_alpha[i],
                *_view_inputs(grads, i),
                clear=i == 0,
                threads=torch.get_num_threads(),
            )
        grad_backgrounds = None
        if ctx.has_background and ctx.needs_input_grad[7]:
            grad_backgrounds = ((1 - alpha) * grad_image).sum(dim=(1, 2))
        return (*grads, None, None, grad_backgrounds, None, None, None)


def _view_inputs(tensors: list[Tensor], view: int) -> list[Tensor]:
    """Means, quats, scales, opacities and the colours of one view (the last tensor may have a view axis)."""
    return [*tensors[:-1], tensors[-1][view] if tensors[-1].ndim == 3 else tensors[-1]]


def _meta(views: list, count: int, packed: bool, settings: ProjectionSettings) -> dict[str, Any]:
    """What became of the Gaussians in each view, under gsplat's names and in its two layouts.

    In NumPy: threads of torch that spin after a short operation would hold up the next view's kernels.
    """
    parts = [view.projected() for view in views]
    meta: dict[str, Any] = {"width": settings.width, "height": settings.height, "n_cameras": len(views)}
    if packed:
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        arrays["camera_ids"] = np.repeat(np.arange(len(parts)), [len(part["gaussian_ids"]) for part in parts])
    else:
        arrays = {}
        for name in ("radii", "means2d", "depths", "conics", "opacities"):
            like = parts[0][name]
            arrays[name] = np.zeros((len(parts), count, *like.shape[1:]), like.dtype)
            for view, part in enumerate(parts):
                arrays[name][view, part["gaussian_ids"]] = part[name]
        meta |= {"camera_ids": None, "gaussian_ids": None}
    return meta | {name: torch.from_numpy(array) for name, array in arrays.items()}


def _refuse(name: str, value: object, default: object) -> None:
    """Raises unless an argument has the one value that the CPU kernels know (False and None both mean "off")."""
    off = value is None or value is False
    if (off and not default) or (isinstance(value, str) and value == default):
        return
    raise NotImplementedError(
        f"rasterization on the CPU does not support {name}={value!r} (only {default!r}); "
        "move the tensors to a CUDA device to use gsplat's own kernels"
    )


def _check_sh(means: Tensor, colors: Tensor, viewmats: Tensor) -> None:
    n, c = len(means), len(viewmats)
    if tuple(colors.shape[:-2]) not in ((n,), (c, n)) or colors.shape[-1] != 3:
        raise ValueError(f"with sh_degree, colors must have shape ({n}, k, 3) or ({c}, {n}, k, 3), got {tuple(colors.shape)}")


def _check_tensors(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    backgrounds: Tensor | None,
) -> None:
    n, c = len(means), len(viewmats)
    if c == 0:
        raise ValueError("viewmats must hold at least one camera, got none")
    tensors = {
        "means": (means, [(n, 3)]),
        "quats": (quats, [(n, 4)]),
        "scales": (scales, [(n, 3)]),
        "opacities": (opacities, [(n,)]),
        "colors": (colors, [(n, colors.shape[-1]), (c, n, colors.shape[-1])]),
        "viewmats": (viewmats, [(c, 4, 4)]),
        "Ks": (Ks, [(c, 3, 3)]),
    }
    if backgrounds is not None:
        tensors["backgrounds"] = (backgrounds, [(c, colors.shape[-1])])
    for name, (tensor, shapes) in tensors.items():
        if tuple(tensor.shape) not in shapes:
            raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {tuple(tensor.shape)}")
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name} must be float32, got {tensor.dtype}; convert it with .float()")
        if tensor.device != means.device:
            raise ValueError(f"{name} lies on {tensor.device} but means on {means.device}; move it there")
    for name in ("viewmats", "Ks"):
        tensor = tensors[name][0]
        if tensor.requires_grad and torch.is_grad_enabled():
            raise NotImplementedError(f"rasterization on the CPU gives no gradients to {name}; pass {name}.detach()")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
