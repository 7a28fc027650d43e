"""Gaussian splatting behind gsplat's functional signature: gsplat on CUDA tensors, the package's own kernels on the CPU.

The CPU path computes what gsplat 1.5 computes: the EWA projection (Zwicker et al. 2001, "EWA Volume Splatting") with a
low-pass of ``eps2d`` square pixels, then front-to-back compositing (Kerbl et al. 2023, "3D Gaussian Splatting") with alphas
capped at 0.999, alphas below 1/255 dropped, and a stop before a pixel's transmittance would fall to 1e-4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.render.autograd import ViewSettings, draw
from splatmem.render.spherical_harmonics import MAX_DEGREE, view_colors

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
ALPHA_FLOOR = 1e-10  # of the division that turns accumulated into expected depth, as in gsplat


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
    settings = ViewSettings(width, height, near_plane, far_plane, radius_clip, eps2d)
    harmonics = None
    if sh_degree is not None:
        _check_harmonics(means, colors, viewmats, sh_degree)
        settings, harmonics, colors = replace(settings, sh_degree=sh_degree), colors, means.new_zeros(len(means), 0)
    image, alpha, views = _draw(
        means, quats, scales, opacities, colors, harmonics, viewmats, Ks, settings, backgrounds, render_mode
    )
    return image, alpha, _meta(views, len(means), packed, settings)


def render_views(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    sh: Float[Tensor, "n k 3"],
    extra: Float[Tensor, "n f"] | Float[Tensor, "c n f"] | None,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    backgrounds: Tensor | None = None,
    render_mode: RenderMode = "RGB",
) -> tuple[Tensor, Tensor]:
    """``rasterization`` with its default settings of a colour from all its harmonics ``sh`` and any further channels
    ``extra``, which come after the colour; without the cost of ``meta``."""
    degree = round(sh.shape[-2] ** 0.5) - 1
    if not means.is_cuda:
        settings = ViewSettings(width, height, sh_degree=degree)
        colors = means.new_zeros(len(means), 0) if extra is None else extra
        return _draw(means, quats, scales, opacities, colors, sh, viewmats, Ks, settings, backgrounds, render_mode)[:2]
    views = (viewmats, Ks, width, height)
    if extra is None:
        return rasterization(
            means, quats, scales, opacities, sh, *views,
            sh_degree=degree, backgrounds=backgrounds, render_mode=render_mode,
        )[:2]  # fmt: skip
    colors = _joined(view_colors(means, sh, viewmats), extra)
    return rasterization(means, quats, scales, opacities, colors, *views, backgrounds=backgrounds, render_mode=render_mode)[:2]


def _joined(colors: Tensor, extra: Tensor) -> Tensor:
    """Both sets of channels side by side, with a view axis if either has one."""
    if colors.ndim != extra.ndim:
        views = colors.shape[0] if colors.ndim == 3 else extra.shape[0]
        colors, extra = (c if c.ndim == 3 else c.expand(views, -1, -1) for c in (colors, extra))
    return torch.cat([colors, extra], dim=-1)


def _draw(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    harmonics: Tensor | None,
    viewmats: Tensor,
    Ks: Tensor,
    settings: ViewSettings,
    backgrounds: Tensor | None,
    render_mode: RenderMode,
) -> tuple[Tensor, Tensor, list]:
    if render_mode not in get_args(RenderMode):
        raise ValueError(f"render_mode must be one of {', '.join(get_args(RenderMode))}, got {render_mode!r}")
    _check_tensors(means, quats, scales, opacities, colors, harmonics, viewmats, Ks, backgrounds)
    if render_mode in ("D", "ED"):
        colors, harmonics, backgrounds = means.new_zeros(len(means), 0), None, None
        settings = replace(settings, sh_degree=0)
    settings = replace(settings, with_depth=render_mode != "RGB")
    if backgrounds is not None and settings.with_depth:
        backgrounds = torch.nn.functional.pad(backgrounds, (0, 1))
    image, alpha, views = draw(
        means,
        quats,
        scales,
        opacities,
        colors if colors.ndim == 3 else colors[None],
        harmonics if harmonics is None or harmonics.ndim == 4 else harmonics[None],
        viewmats,
        Ks,
        backgrounds,
        settings,
    )
    if render_mode.endswith("ED"):
        expected = image[..., -1:] / alpha.clamp_min(ALPHA_FLOOR)
        image = torch.cat([image[..., :-1], expected], dim=-1)
    return image, alpha, views


def _meta(views: list, count: int, packed: bool, settings: ViewSettings) -> dict[str, Any]:
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


def _check_harmonics(means: Tensor, harmonics: Tensor, viewmats: Tensor, degree: int) -> None:
    n, c = len(means), len(viewmats)
    if tuple(harmonics.shape[:-2]) not in ((n,), (c, n)) or harmonics.shape[-1] != 3:
        raise ValueError(
            f"with sh_degree, colors must have shape ({n}, k, 3) or ({c}, {n}, k, 3), got {tuple(harmonics.shape)}"
        )
    if not 0 <= degree <= MAX_DEGREE:
        raise NotImplementedError(f"sh_degree must lie in 0..{MAX_DEGREE}, got {degree}")
    bands = (degree + 1) ** 2
    if bands > harmonics.shape[-2]:
        raise ValueError(f"sh_degree {degree} needs {bands} coefficients per Gaussian, got {harmonics.shape[-2]}")


def _check_tensors(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    harmonics: Tensor | None,
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
    if harmonics is not None:
        tensors["spherical harmonics"] = (harmonics, [(n, *harmonics.shape[-2:]), (c, n, *harmonics.shape[-2:])])
    if backgrounds is not None:
        tensors["backgrounds"] = (backgrounds, [(c, colors.shape[-1] + (0 if harmonics is None else 3))])
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
