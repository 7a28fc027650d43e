"""The compiled kernels as differentiable functions of torch tensors.

Two functions make the graph, as in gsplat: the projection, whose results ``meta`` shows, and compositing, which takes them. The
kernels compute both at once, and so do their gradients unless somebody has looked at a projected tensor and holds it at the
time of the backward pass: then compositing's gradients go to the projected Gaussians, where ``retain_grad`` finds them, and
from there to the scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatmem.render.extension import load_kernels
from splatmem.render.projected import FLOAT_SHAPES, Layout, LazyProjected
from splatmem.threads import kernel_threads

MAX_IMAGE_SIDE = 32768


@dataclass(frozen=True)
class ViewSettings:
    """What a view needs beside the tensors; the names and meanings are gsplat's."""

    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3
    antialiased: bool = False
    ortho: bool = False
    sh_degree: int = 0  # of the harmonics that are evaluated
    with_backfacing: bool = False  # whether the backfacing_share is drawn as a channel after the colours; it gets no gradient
    with_depth: bool = False  # whether the z-depth is drawn as the last channel

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if not 1 <= side <= MAX_IMAGE_SIDE:
                raise ValueError(f"{name} must lie in 1..{MAX_IMAGE_SIDE} pixels, got {side}")
        if not 0 < self.near_plane < self.far_plane:
            raise ValueError(f"expected 0 < near_plane < far_plane, got {self.near_plane} and {self.far_plane}")
        if not (self.eps2d >= 0 and self.radius_clip >= 0):
            raise ValueError(f"eps2d and radius_clip must not be negative, got {self.eps2d} and {self.radius_clip}")


@dataclass(frozen=True)
class SceneTensors:
    """Scenes of ``n`` Gaussians each, activated. ``draw`` takes them with one leading dimension ``b``.

    Attributes:
        colors: channels that are drawn as they are, ``[*b, n, d]`` if all views share them, else ``[*b, v, n, d]``, one set
            for each view. ``draw`` takes them with four dimensions, ``v`` = 1 if they are shared.
        harmonics: spherical-harmonic coefficients of a colour, which becomes the image's first three channels; ``v`` as above.
    """

    means: Float[Tensor, "*b n 3"]
    quats: Float[Tensor, "*b n 4"]
    scales: Float[Tensor, "*b n 3"]
    opacities: Float[Tensor, "*b n"]
    colors: Float[Tensor, "*bv n d"] | None = None
    harmonics: Float[Tensor, "*bu n k 3"] | None = None

    def tensors(self) -> list[Tensor | None]:
        return [getattr(self, f.name) for f in fields(self)]

    @property
    def channels(self) -> int:
        """Number of channels of the image without the depth."""
        return (0 if self.colors is None else self.colors.shape[-1]) + (0 if self.harmonics is None else 3)


@dataclass(frozen=True)
class CameraTensors:
    """``c`` cameras for each scene; ``backgrounds`` has a value for each of the image's channels."""

    viewmats: Float[Tensor, "*b c 4 4"]
    Ks: Float[Tensor, "*b c 3 3"]
    backgrounds: Float[Tensor, "*b c x"] | None = None


@dataclass(frozen=True)
class Survey:
    """Further results of a drawing: tensors to be filled, or None; ``pixel_weights`` are those of ``contributions``."""

    median_depths: Float[Tensor, "b c h w"] | None = None
    pixel_weights: Float[Tensor, "b c h w"] | None = None
    contributions: Float[Tensor, "b c n"] | None = None


@dataclass
class _Drawing:
    """What a backward pass needs from a drawing beside its tensors."""

    settings: ViewSettings
    scenes: list[Any]  # as the kernels take them
    views: list[list[Any]]  # as the kernels keep them, by scene and camera
    absgrad: bool = False
    layout: Layout | None = None  # of the projected Gaussians, if the caller is shown them

    def held(self) -> list[Tensor | None]:
        """The projected tensors that the caller still holds; only through these gradients are passed on separately."""
        return [] if self.layout is None else self.layout.held()


def draw(
    scene: SceneTensors,
    cameras: CameraTensors,
    settings: ViewSettings,
    *,
    layout: Literal["packed", "dense"] | None = None,
    batch_dims: tuple[int, ...] = (),
    absgrad: bool = False,
    survey: Survey = Survey(),
) -> tuple[Float[Tensor, "b c h w x"], Float[Tensor, "b c h w 1"], LazyProjected | None]:
    """Draws every scene through its cameras; the caller has checked shapes, types and devices.

    Args:
        layout: of the projected Gaussians, if they are wanted.
        batch_dims: shape that the dense layout gives to the scenes.
        absgrad: whether the projected ``means2d`` get an attribute ``absgrad`` in the backward pass: sums over pixels of the
            absolute values of their gradients (Ye et al. 2024, "AbsGS").
        survey: is filled.

    Returns:
        The image with its channels in the order harmonics, colors, backfacing share, depth; the accumulated alpha; and the
        projected Gaussians.
    """
    tensors = scene.tensors()
    centers = _centers(cameras.viewmats, settings)
    inputs = [*tensors, cameras.viewmats, centers, cameras.backgrounds]
    differentiable = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    keep = differentiable or layout is not None
    image, alpha, drawing = _run(scene, centers, cameras, settings, survey, keep=keep, differentiable=differentiable)
    projected = None
    if layout is not None:
        count = cameras.viewmats.shape[1]
        dense_shape = (*batch_dims, count, scene.means.shape[1]) if layout == "dense" else None
        drawing.layout = Layout([view for views in drawing.views for view in views], count, dense_shape)
        projected = LazyProjected(drawing.layout, _empty)
    if not differentiable:
        return image, alpha, projected
    shown: Sequence[Tensor | None] = [None] * 4
    if projected is not None:
        memory = tuple(t.detach() for t in projected.memory)
        shown = projected.shown = _Project.apply(*tensors[:4], cameras.viewmats, memory, drawing)
        drawing.absgrad = absgrad
        if absgrad:  # the caller reads it after the backward pass
            _ = projected.value
    image, alpha = _Composite.apply(*inputs, *shown, (image, alpha), drawing)
    return image, alpha, projected


def _centers(viewmats: Tensor, settings: ViewSettings) -> Float[Tensor, "b c 3"]:
    """Positions of the cameras in the world; zeros where no view-dependent colours need them."""
    if settings.sh_degree == 0:
        return viewmats.new_zeros(*viewmats.shape[:2], 3)
    return torch.linalg.inv(viewmats)[..., :3, 3]


def _of_scene(tensor: Tensor | None, batch: int) -> Any:
    """One scene's part, as the kernels take it."""
    return None if tensor is None else tensor[batch].detach().contiguous()


def _run(
    scene: SceneTensors,
    centers: Tensor,
    cameras: CameraTensors,
    settings: ViewSettings,
    survey: Survey,
    *,
    keep: bool,
    differentiable: bool,
) -> tuple[Tensor, Tensor, _Drawing]:
    viewmats = cameras.viewmats
    size = (*viewmats.shape[:2], settings.height, settings.width)
    image, alpha = _empty(*size, scene.channels + settings.with_backfacing + settings.with_depth), _empty(*size, 1)
    kernels = load_kernels()
    scenes = [kernels.Scene(*(_of_scene(t, b) for t in scene.tensors()), settings.sh_degree) for b in range(len(scene.means))]
    views = [
        kernels.draw(
            scenes[b],
            *(_of_scene(t, b) for t in (viewmats, cameras.Ks, centers, cameras.backgrounds)),
            image[b],
            alpha[b],
            **{name: _of_scene(t, b) for name, t in vars(survey).items()},
            near_plane=settings.near_plane,
            far_plane=settings.far_plane,
            radius_clip=settings.radius_clip,
            eps2d=settings.eps2d,
            antialiased=settings.antialiased,
            ortho=settings.ortho,
            with_back=settings.with_backfacing,
            with_depth=settings.with_depth,
            keep=keep,
            differentiable=differentiable,
            threads=kernel_threads(),
        )
        for b in range(len(scenes))
    ]
    return image, alpha, _Drawing(settings, scenes, views)


def _empty(*shape: int) -> Tensor:
    """A tensor in memory that the kernels reuse, since fresh pages of the system are slow."""
    return torch.from_numpy(load_kernels().empty(shape))


class _Project(torch.autograd.Function):
    """Makes already computed projected Gaussians a differentiable function of the scene and the cameras."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        viewmats: Tensor,
        values: tuple[Tensor, ...],
        drawing: _Drawing,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(means, quats, scales, opacities, viewmats)
        ctx.drawing = drawing
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor | None) -> tuple[Tensor | None, ...]:
        if all(g is None for g in outer):
            return (None,) * 7
        drawing: _Drawing = ctx.drawing
        layout = drawing.layout
        assert layout is not None
        *tensors, viewmats = ctx.saved_tensors
        given = [zero if g is None else layout.to_packed(g) for g, zero in zip(outer, _zero_rows(layout), strict=True)]
        grads = [_empty(*t.shape) for t in tensors]
        poses = _room_for_poses(viewmats, ctx.needs_input_grad[4])
        views = _views(drawing, [*grads, None, None, *poses])
        for (gradients, b, c, view), rows in zip(views, layout.slices(), strict=True):
            projected = load_kernels().ProjectedGradients(*(g[rows] for g in given), None)
            view.projected_backward(drawing.scenes[b], c, projected, gradients, first=c == 0, threads=kernel_threads())
        return (*grads, poses[0], None, None)


class _Composite(torch.autograd.Function):
    """Makes the already drawn image and alpha a differentiable function of scene, cameras and projected Gaussians."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor | None,
        harmonics: Tensor | None,
        viewmats: Tensor,
        centers: Tensor,
        backgrounds: Tensor | None,
        means2d: Tensor | None,
        depths: Tensor | None,
        conics: Tensor | None,
        projected_opacities: Tensor | None,
        images: tuple[Tensor, Tensor],
        drawing: _Drawing,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(means, quats, scales, opacities, colors, harmonics, viewmats, *images)
        ctx.drawing = drawing
        return images

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_image: Tensor, grad_alpha: Tensor) -> tuple[Tensor | None, ...]:
        drawing: _Drawing = ctx.drawing
        *tensors, viewmats, image, alpha = ctx.saved_tensors
        grad_image, grad_alpha = grad_image.contiguous(), grad_alpha.contiguous()
        held = drawing.held()
        layout = drawing.layout if any(t is not None for t in held) else None
        directional = drawing.settings.sh_degree > 0
        needed = ctx.needs_input_grad
        wanted = [directional or layout is None, *[layout is None] * 3, *needed[4:6]]
        grads = [_empty(*t.shape) if want and t is not None else None for t, want in zip(tensors, wanted, strict=True)]
        poses = _room_for_poses(viewmats, needed[6])
        stops = [] if layout is None else _zero_rows(layout)
        absolute = torch.zeros_like(stops[0]) if stops and drawing.absgrad else None
        slices = layout.slices() if layout is not None else []
        for i, (gradients, b, c, view) in enumerate(_views(drawing, [*grads, *poses])):
            stop = None
            if layout is not None:
                parts = (None if t is None else t[slices[i]] for t in (*stops, absolute))
                stop = load_kernels().ProjectedGradients(*parts)
            view.backward(
                drawing.scenes[b], c, image[b, c], alpha[b, c], grad_image[b, c], grad_alpha[b, c], gradients, stop,
                first=c == 0, threads=kernel_threads(),
            )  # fmt: skip
        outer: list[Tensor | None] = [None] * 4
        if layout is not None:
            outer = [layout.from_packed(t) for t in stops]
            if absolute is not None and held[0] is not None:
                held[0].absgrad = layout.from_packed(absolute)  # type: ignore[attr-defined]
        if grads[4] is not None:
            grads[4] = grads[4].to(tensors[4].dtype)
        backgrounds = ((1 - alpha) * grad_image).sum(dim=(2, 3)) if needed[8] else None
        return (*grads, *poses, backgrounds, *outer, None, None)


def _zero_rows(layout: Layout) -> list[Tensor]:
    """Tensors for the gradients with respect to visible Gaussians."""
    return [torch.zeros(sum(layout.counts()), *shape) for shape in FLOAT_SHAPES]


def _room_for_poses(viewmats: Tensor, wanted: bool) -> list[Tensor | None]:
    """Tensors for the gradients with respect to the cameras' transforms and centres."""
    return [torch.zeros_like(viewmats), viewmats.new_zeros(*viewmats.shape[:2], 3)] if wanted else [None, None]


def _views(drawing: _Drawing, grads: Sequence[Tensor | None]) -> Iterator[tuple[Any, int, int, Any]]:
    """The views with what a backward pass of each needs: the gradients as the kernels take them, the indices of its scene and
    camera, and the kernels' view."""
    for b, views in enumerate(drawing.views):
        gradients = load_kernels().Gradients(*(None if g is None else g[b] for g in grads))
        for c, view in enumerate(views):
            yield gradients, b, c, view
