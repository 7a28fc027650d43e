"""Gaussian splatting behind gsplat's functional signature: gsplat on CUDA tensors, the package's own kernels on the CPU.

The CPU path computes what gsplat 1.5 computes: the EWA projection (Zwicker et al. 2001, "EWA Volume Splatting") with a
low-pass of ``eps2d`` square pixels, then front-to-back compositing (Kerbl et al. 2023, "3D Gaussian Splatting") with alphas
capped at 0.999, alphas below 1/255 dropped, and a stop before a pixel's transmittance would fall to 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.render.autograd import CameraTensors, SceneTensors, Survey, ViewSettings, draw
from splatmem.render.backfacing import backfacing_share
from splatmem.render.projected import Meta
from splatmem.render.spherical_harmonics import MAX_DEGREE, view_colors
from splatmem.render.through_gsplat import RenderMode, draw_with_gsplat

NEAR_PLANE = 1e-6
"""Of a scene whose unit may be anything: it leaves out what lies behind a camera, and nothing else. gsplat's default of 0.01
would cut off a whole scene whose unit is large."""
ALPHA_FLOOR = 1e-10  # of the division that turns accumulated into expected depth, as in gsplat
ABSGRAD_CHANNELS = 16  # the kernels composite that many at once, and absolute values of parts do not add up to those of the sum
COLOR_TYPES = (torch.float32, torch.float16, torch.bfloat16)

# Further arguments of gsplat.rasterization, which the CPU kernels do not have.
UNSUPPORTED = (
    "covars",
    "with_ut",
    "with_eval3d",
    "radial_coeffs",
    "tangential_coeffs",
    "thin_prism_coeffs",
    "ftheta_coeffs",
    "rolling_shutter",
    "viewmats_rs",
)


def rasterization(
    means: Float[Tensor, "*b n 3"],
    quats: Float[Tensor, "*b n 4"],
    scales: Float[Tensor, "*b n 3"],
    opacities: Float[Tensor, "*b n"],
    colors: Tensor,
    viewmats: Float[Tensor, "*b c 4 4"],
    Ks: Float[Tensor, "*b c 3 3"],
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Float[Tensor, "*b c d"] | None = None,
    render_mode: RenderMode = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: Literal["pinhole", "ortho"] = "pinhole",
    segmented: bool = False,
    *,
    median_depth: bool = False,
    backfacing: bool = False,
    contributions: bool | Float[Tensor, "*b c h w"] = False,
    **unsupported: Any,
) -> tuple[Float[Tensor, "*b c h w x"], Float[Tensor, "*b c h w 1"], MutableMapping[str, Any]]:
    """Draws ``n`` Gaussians into ``c`` views, as ``gsplat.rasterization`` does; CUDA tensors are handed to gsplat itself.

    Differentiable in everything but ``Ks``. Gaussians with a parameter that is not finite are not drawn and get zero gradients.

    Args:
        means: centres in the world. Any leading dimensions ``*b``, shared by all tensors, count scenes of their own.
        quats: rotations ``wxyz`` of any length; a zero quaternion counts as no rotation.
        scales: standard deviations along the local axes, in world units.
        opacities: in 0..1, after the sigmoid.
        colors: channels ``[*b, n, d]`` or, per view, ``[*b, c, n, d]``, of any number, in single or half precision; with
            ``sh_degree`` coefficients ``[*b, n, k, 3]`` or ``[*b, c, n, k, 3]``.
        viewmats: world-to-camera transforms, OpenCV axes.
        Ks: intrinsics in pixels, no skew; pixel centres lie at +0.5.
        width, height: image size in pixels.
        near_plane, far_plane: only Gaussians whose centre has a z-depth between the two are drawn.
        radius_clip: Gaussians whose radii in pixels are at most this are skipped.
        eps2d: variance in square pixels that is added to every projected Gaussian.
        sh_degree: degree to evaluate, 0 to 3, if ``colors`` holds spherical-harmonic coefficients.
        packed: layout of ``meta`` alone: one row per visible Gaussian and view, or ``[*b, c, n, ...]`` with zero radii for the
            invisible ones.
        tile_size, channel_chunk, segmented: tuning of the CUDA kernels; without effect on the CPU.
        backgrounds: colour behind each view; black if None.
        render_mode: "RGB" draws ``colors``; "D" the accumulated depth ``sum(w z)``, "ED" the expected one,
            ``sum(w z) / alpha``; "RGB+D" and "RGB+ED" append it as the last channel.
        absgrad: whether the backward pass sets ``meta["means2d"].absgrad``, the sums over pixels of the absolute values of
            their gradients (Ye et al. 2024, "AbsGS").
        rasterize_mode: "antialiased" multiplies opacities by the square root of what ``eps2d`` leaves of the projected
            determinant (Yu et al. 2024, "Mip-Splatting").
        camera_model: "pinhole", or "ortho" for ``pixel = f camera.xy + c``.
        sparse_grad, distributed: not supported on the CPU, nor are the further arguments of gsplat.
        median_depth: whether ``meta["median_depth"]`` is to hold, ``[*b, c, h, w, 1]``, the z-depth of the last Gaussian drawn
            while more than half of the light still passes; 0 where nothing is.
        backfacing: whether ``meta["backfacing_alpha"]`` is to hold, ``[*b, c, h, w, 1]``, the part of the alpha that comes from
            Gaussians seen from behind, that is against their local z axis.
        contributions: whether ``meta["contributions"]`` is to hold, ``[*b, c, n]``, the sums of the Gaussians' blending weights
            over the pixels; or weights of the pixels in these sums.

    The last three are not in gsplat, only on the CPU, and not differentiable.

    Returns:
        The image ``[*b, c, h, w, x]``, the accumulated alpha ``[*b, c, h, w, 1]``, and a dictionary with ``means2d``,
        ``radii``, ``depths``, ``conics`` and ``opacities`` of the projected Gaussians and, if packed, their ``gaussian_ids``,
        ``camera_ids`` and ``batch_ids``. Gradients flow through it, and ``meta["means2d"].retain_grad()`` works, so gsplat's
        densification strategies do.

    Raises:
        ValueError: if a shape, dtype, device or setting does not fit.
        NotImplementedError: if an option of gsplat is asked for that the CPU kernels do not have; it names the argument.
        ImportError: if the kernels were not built.
    """
    own = {"median_depth": median_depth, "backfacing_alpha": backfacing, "contributions": contributions is not False}
    scene = SceneTensors(means, quats, scales, opacities)
    cameras = CameraTensors(viewmats, Ks, backgrounds)
    if means.is_cuda:
        for name in (name for name, asked in own.items() if asked):
            raise NotImplementedError(f"gsplat has no {name}; move the tensors to the CPU")
        given = replace(scene, colors=colors) if sh_degree is None else replace(scene, harmonics=colors)
        _one_of("render_mode", render_mode, get_args(RenderMode))
        _check_shapes(given, cameras, ViewSettings(width, height, sh_degree=sh_degree or 0))
        return draw_with_gsplat(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            backgrounds=backgrounds, render_mode=render_mode, sh_degree=sh_degree, near_plane=near_plane, far_plane=far_plane,
            radius_clip=radius_clip, eps2d=eps2d, packed=packed, tile_size=tile_size, sparse_grad=sparse_grad, absgrad=absgrad,
            rasterize_mode=rasterize_mode, channel_chunk=channel_chunk, distributed=distributed, camera_model=camera_model,
            segmented=segmented, **unsupported,
        )  # fmt: skip
    _refuse_options(sparse_grad=sparse_grad, distributed=distributed, **unsupported)
    _one_of("rasterize_mode", rasterize_mode, ("classic", "antialiased"))
    _one_of("camera_model", camera_model, ("pinhole", "ortho"))
    settings = ViewSettings(
        width, height, near_plane, far_plane, radius_clip, eps2d, rasterize_mode == "antialiased", camera_model == "ortho"
    )
    if sh_degree is None:
        scene = replace(scene, colors=colors)
    else:
        if not 0 <= sh_degree <= MAX_DEGREE:
            raise NotImplementedError(f"sh_degree must lie in 0..{MAX_DEGREE}, got {sh_degree}")
        scene, settings = replace(scene, harmonics=colors), replace(settings, sh_degree=sh_degree)
    layout = "packed" if packed else "dense"
    settings = replace(settings, with_backfacing=backfacing)
    image, alpha, meta = _draw(
        scene,
        cameras,
        settings,
        render_mode,
        layout=layout,
        absgrad=absgrad,
        median_depth=median_depth,
        contributions=contributions,
    )
    if backfacing:
        at = image.shape[-1] - 1 - (render_mode != "RGB")
        meta["backfacing_alpha"] = image[..., at : at + 1].detach()
        image = torch.cat([image[..., :at], image[..., at + 1 :]], dim=-1)
    return image, alpha, meta


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
    with_backfacing: bool = False,
) -> tuple[Tensor, Tensor]:
    """``rasterization``, with ``NEAR_PLANE`` and else its default settings, of a colour from all its harmonics ``sh`` and any
    further channels ``extra``, which come after the colour, then ``backfacing_share`` if asked for; without the cost of
    ``meta``."""
    degree = round(sh.shape[-2] ** 0.5) - 1
    if not means.is_cuda:
        scene = SceneTensors(means, quats, scales, opacities, extra, sh)
        settings = ViewSettings(width, height, NEAR_PLANE, sh_degree=degree, with_backfacing=with_backfacing)
        return _draw(scene, CameraTensors(viewmats, Ks, backgrounds), settings, render_mode)[:2]
    views = (viewmats, Ks, width, height)
    if with_backfacing:
        share = backfacing_share(means, quats, viewmats)[..., None]
        extra = share if extra is None else _joined(extra, share)
        backgrounds = None if backgrounds is None else torch.nn.functional.pad(backgrounds, (0, 1))
    if extra is None:
        return rasterization(
            means, quats, scales, opacities, sh, *views,
            sh_degree=degree, backgrounds=backgrounds, render_mode=render_mode, near_plane=NEAR_PLANE,
        )[:2]  # fmt: skip
    colors = _joined(view_colors(means, sh, viewmats), extra)
    return rasterization(
        means, quats, scales, opacities, colors, *views,
        backgrounds=backgrounds, render_mode=render_mode, near_plane=NEAR_PLANE,
    )[:2]  # fmt: skip


def _joined(colors: Tensor, extra: Tensor) -> Tensor:
    """Both sets of channels side by side, with a view axis if either has one."""
    if colors.ndim != extra.ndim:
        views = colors.shape[0] if colors.ndim == 3 else extra.shape[0]
        colors, extra = (c if c.ndim == 3 else c.expand(views, -1, -1) for c in (colors, extra))
    return torch.cat([colors, extra], dim=-1)


def _draw(
    scene: SceneTensors,
    cameras: CameraTensors,
    settings: ViewSettings,
    render_mode: RenderMode,
    *,
    layout: Literal["packed", "dense"] | None = None,
    absgrad: bool = False,
    median_depth: bool = False,
    contributions: bool | Tensor = False,
) -> tuple[Tensor, Tensor, MutableMapping[str, Any]]:
    """``draw`` with the shapes of ``rasterization``, checked, and its render modes."""
    _one_of("render_mode", render_mode, get_args(RenderMode))
    _check_shapes(scene, cameras, settings)
    _check_tensors(scene, cameras)
    if render_mode in ("D", "ED"):
        scene, cameras = replace(scene, colors=None, harmonics=None), replace(cameras, backgrounds=None)
        settings = replace(settings, sh_degree=0)
    settings = replace(settings, with_depth=render_mode != "RGB")
    batch_dims = scene.means.shape[:-2]
    scene, cameras = _flattened(scene, cameras, settings, len(batch_dims))
    channels = scene.channels + settings.with_backfacing + settings.with_depth
    if absgrad and channels > ABSGRAD_CHANNELS:
        raise NotImplementedError(f"absgrad on the CPU works with up to {ABSGRAD_CHANNELS} channels, got {channels}")
    survey = _survey(scene, cameras, settings, median_depth, contributions)
    image, alpha, projected = draw(
        scene, cameras, settings, layout=layout, batch_dims=batch_dims, absgrad=absgrad, survey=survey
    )
    image, alpha = (t.reshape(*batch_dims, *t.shape[1:]) for t in (image, alpha))
    if render_mode.endswith("ED"):
        expected = image[..., -1:] / alpha.clamp_min(ALPHA_FLOOR)
        image = torch.cat([image[..., :-1], expected], dim=-1)
    surveyed = {}
    if survey.median_depths is not None:
        surveyed["median_depth"] = survey.median_depths.reshape(alpha.shape)
    if survey.contributions is not None:
        surveyed["contributions"] = survey.contributions.reshape(*batch_dims, *survey.contributions.shape[1:])
    batches, views = cameras.viewmats.shape[:2]
    sizes = {"width": settings.width, "height": settings.height, "n_batches": batches, "n_cameras": views}
    return image, alpha, Meta(lambda: ({} if projected is None else vars(projected.value)) | sizes | surveyed)


def _survey(
    scene: SceneTensors, cameras: CameraTensors, settings: ViewSettings, median_depth: bool, contributions: bool | Tensor
) -> Survey:
    """Empty tensors for the results that are asked for."""
    views = tuple(cameras.viewmats.shape[:2])
    size = (*views, settings.height, settings.width)
    pixel_weights = None
    if isinstance(contributions, Tensor):
        if contributions.numel() != math.prod(size) or contributions.shape[-2:] != size[-2:]:
            raise ValueError(f"contributions must be a bool or have shape (..., {size[1:]}), got {tuple(contributions.shape)}")
        pixel_weights = contributions.detach().to(torch.float32).reshape(size)
    return Survey(
        torch.empty(size) if median_depth else None,
        pixel_weights,
        torch.empty(*views, scene.means.shape[1]) if contributions is not False else None,
    )


def _flattened(
    scene: SceneTensors, cameras: CameraTensors, settings: ViewSettings, dims: int
) -> tuple[SceneTensors, CameraTensors]:
    """The inputs with one leading dimension for scenes, one for views in the colours, and a background for every channel."""
    count = math.prod(scene.means.shape[:dims])

    def flat(tensor: Tensor | None, ndim: int) -> Any:
        if tensor is None:
            return None
        tensor = tensor.reshape(count, *tensor.shape[dims:])
        return tensor[:, None] if tensor.ndim < ndim else tensor

    backgrounds = cameras.backgrounds
    if backgrounds is not None:
        backgrounds = torch.nn.functional.pad(backgrounds, (0, settings.with_backfacing + settings.with_depth))
    return (
        SceneTensors(
            flat(scene.means, 3), flat(scene.quats, 3), flat(scene.scales, 3), flat(scene.opacities, 2),
            flat(scene.colors, 4), flat(scene.harmonics, 5),
        ),
        CameraTensors(flat(cameras.viewmats, 4), flat(cameras.Ks, 4), flat(backgrounds, 3)),
    )  # fmt: skip


def _refuse_options(**options: object) -> None:
    """Raises for options that ask for something the CPU kernels do not have."""
    for name, value in options.items():
        if name not in (*UNSUPPORTED, "sparse_grad", "distributed"):
            raise TypeError(f"rasterization() got an unexpected argument {name!r}")
        nothing = value is None or value is False or (name == "rolling_shutter" and getattr(value, "name", None) == "GLOBAL")
        if not nothing:
            raise NotImplementedError(
                f"rasterization on the CPU does not support {name}; move the tensors to a CUDA device to use gsplat's kernels"
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        kind = NotImplementedError if name == "camera_model" else ValueError
        raise kind(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _check_shapes(scene: SceneTensors, cameras: CameraTensors, settings: ViewSettings) -> None:
    b, n, c = (
        tuple(scene.means.shape[:-2]),
        scene.means.shape[-2] if scene.means.ndim > 1 else 0,
        cameras.viewmats.shape[-3:][0],
    )
    expected: dict[str, tuple[Tensor | None, list[tuple[int, ...]]]] = {
        "means": (scene.means, [(*b, n, 3)]),
        "quats": (scene.quats, [(*b, n, 4)]),
        "scales": (scene.scales, [(*b, n, 3)]),
        "opacities": (scene.opacities, [(*b, n)]),
        "viewmats": (cameras.viewmats, [(*b, c, 4, 4)]),
        "Ks": (cameras.Ks, [(*b, c, 3, 3)]),
    }
    if scene.colors is not None:
        d = scene.colors.shape[-1]
        expected["colors"] = (scene.colors, [(*b, n, d), (*b, c, n, d)])
    if scene.harmonics is not None:
        bands, needed = scene.harmonics.shape[-2:][0], (settings.sh_degree + 1) ** 2
        expected["colors (with sh_degree)"] = (scene.harmonics, [(*b, n, bands, 3), (*b, c, n, bands, 3)])
        if bands < needed:
            raise ValueError(f"sh_degree {settings.sh_degree} needs {needed} coefficients per Gaussian, got {bands}")
    expected["backgrounds"] = (cameras.backgrounds, [(*b, c, scene.channels)])
    for name, (tensor, shapes) in expected.items():
        if tensor is not None and tuple(tensor.shape) not in shapes:
            raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {tuple(tensor.shape)}")
    if c == 0 or math.prod(b) == 0:
        raise ValueError("viewmats must hold at least one camera, got none")


def _check_tensors(scene: SceneTensors, cameras: CameraTensors) -> None:
    for name, tensor in (vars(scene) | vars(cameras)).items():
        if tensor is None:
            continue
        if tensor.dtype not in (COLOR_TYPES if name == "colors" else COLOR_TYPES[:1]):
            halves = ", float16 or bfloat16" if name == "colors" else ""
            raise ValueError(f"{name} must be float32{halves}, got {tensor.dtype}; convert it with .float()")
        if tensor.device != scene.means.device:
            raise ValueError(f"{name} lies on {tensor.device} but means on {scene.means.device}; move it there")
    if cameras.Ks.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError("rasterization gives no gradients to Ks; pass Ks.detach()")
    for name in ("viewmats", "Ks"):
        if not torch.isfinite(getattr(cameras, name)).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
