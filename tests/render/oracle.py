"""A dense float64 rasterizer to compare with: gsplat's own torch projection and compositing without tiles, with autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Scene:
    """Activated parameters as ``rasterization`` takes them."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor

    def tensors(self) -> list[Tensor]:
        return [self.means, self.quats, self.scales, self.opacities, self.colors]

    def leaves(self, dtype: torch.dtype) -> Scene:
        return Scene(*(t.detach().to(dtype).requires_grad_() for t in self.tensors()))


def random_scene(count: int, channels: int, seed: int = 0, views: int = 0) -> Scene:
    """Gaussians of all shapes around, in front of and behind a camera at the origin, some of them very thin."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    means = (uniform(count, 3) - 0.5) * torch.tensor([5.0, 4.0, 5.0]) + torch.tensor([0.0, 0.0, 1.9])
    scales = torch.exp(normal(count, 3) * 0.7 - 2.8)
    opacities = uniform(count) * 0.998 + 0.002
    colors = uniform(views, count, channels) if views else uniform(count, channels)
    return Scene(means, normal(count, 4), scales, opacities, colors)


def random_cameras(count: int, width: int, height: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """World-to-camera transforms near the origin, and intrinsics with different focal lengths and an off-centre point."""
    generator = torch.Generator().manual_seed(seed)
    angles = torch.randn(count, 3, generator=generator, dtype=torch.float64) * 0.1
    rotation = torch.linalg.matrix_exp(
        torch.stack([_cross(a) for a in angles]) if count else torch.zeros(0, 3, 3, dtype=torch.float64)
    )
    viewmats = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    viewmats[:, :3, :3] = rotation
    viewmats[:, :3, 3] = torch.randn(count, 3, generator=generator, dtype=torch.float64) * 0.15
    intrinsics = torch.tensor([[0.87 * width, 0, 0.49 * width], [0, 1.16 * height, 0.51 * height], [0, 0, 1]])
    return viewmats.float(), intrinsics.repeat(count, 1, 1).float()


def _cross(a: Tensor) -> Tensor:
    x, y, z = a.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


@dataclass
class Projected:
    """The Gaussians in ``c`` views, ``[c, n, ...]``."""

    visible: Tensor
    means2d: Tensor
    depths: Tensor
    conics: Tensor
    opacities: Tensor


def project(
    scene: Scene,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    eps2d: float = 0.3,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    rasterize_mode: str = "classic",
    camera_model: str = "pinhole",
) -> Projected:
    from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

    covars, _ = _quat_scale_to_covar_preci(scene.quats, scene.scales, compute_preci=False)
    radii, means2d, depths, conics, compensations = _fully_fused_projection(
        scene.means, covars, viewmats, Ks, width, height, eps2d, near_plane, far_plane,
        calc_compensations=rasterize_mode == "antialiased", camera_model=camera_model,
    )  # fmt: skip
    opacities = scene.opacities.expand(len(viewmats), -1)
    if compensations is not None:
        opacities = opacities * compensations
    return Projected((radii > 0).all(dim=-1) & (opacities >= 1 / 255), means2d, depths, conics, opacities)


def render(
    scene: Scene,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    sh_degree: int | None = None,
    shifts: Tensor | None = None,
    **options,
) -> tuple[Tensor, Tensor]:
    """The image ``[c, h, w, x]`` and the alpha ``[c, h, w, 1]``, as ``rasterization`` returns them.

    ``shifts`` [c, n, h, w, 2] move the projected means, pixel by pixel: for gradients that are not summed over the pixels.
    """
    viewmats, Ks = viewmats.to(scene.means), Ks.to(scene.means)
    projected = project(scene, viewmats, Ks, width, height, **options)
    images, alphas = [], []
    for i in range(len(viewmats)):
        colors = _seen_colors(scene, viewmats, sh_degree)
        colors = colors[i] if colors.ndim == 3 else colors
        if "D" in render_mode:
            depth = projected.depths[i][:, None]
            colors = torch.cat([colors, depth], dim=-1) if "RGB" in render_mode else depth
        image, alpha = composite(projected, i, colors, width, height, None if shifts is None else shifts[i])
        if backgrounds is not None and "RGB" in render_mode:
            padding = image.shape[-1] - backgrounds.shape[-1]
            image = image + (1 - alpha) * torch.nn.functional.pad(backgrounds[i], (0, padding))
        if render_mode.endswith("ED"):
            image = torch.cat([image[..., :-1], image[..., -1:] / alpha.clamp_min(1e-10)], dim=-1)
        images.append(image)
        alphas.append(alpha)
    return torch.stack(images), torch.stack(alphas)


def _seen_colors(scene: Scene, viewmats: Tensor, sh_degree: int | None) -> Tensor:
    if sh_degree is None:
        return scene.colors
    from gsplat.cuda._torch_impl import _spherical_harmonics

    directions = scene.means - torch.linalg.inv(viewmats)[:, None, :3, 3]
    coefficients = scene.colors if scene.colors.ndim == 4 else scene.colors.expand(len(viewmats), -1, -1, -1)
    return (_spherical_harmonics(sh_degree, directions, coefficients) + 0.5).clamp_min(0)


def blending_weights(scene: Scene, viewmats: Tensor, Ks: Tensor, width: int, height: int, view: int) -> tuple[Tensor, ...]:
    """Weights ``[m, h, w]`` of what one view shows, from front to back, with depths and indices ``[m]``."""
    projected = project(scene, viewmats.to(scene.means), Ks.to(scene.means), width, height)
    order = _front_to_back(projected, view)
    weights, _ = _weights(projected, view, order, width, height, None)
    return weights, projected.depths[view, order], order


def _front_to_back(projected: Projected, view: int) -> Tensor:
    order = torch.argsort(projected.depths[view], stable=True)
    return order[projected.visible[view][order]]


def composite(
    projected: Projected, view: int, colors: Tensor, width: int, height: int, shifts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The image ``[h, w, d]`` and the alpha ``[h, w, 1]`` of one view, from colours ``[n, d]``."""
    order = _front_to_back(projected, view)
    if len(order) == 0:
        return colors.new_zeros(height, width, colors.shape[-1]), colors.new_zeros(height, width, 1)
    weights, alpha = _weights(projected, view, order, width, height, shifts)
    return torch.einsum("nhw,nc->hwc", weights, colors[order]), alpha


def _weights(
    projected: Projected, view: int, order: Tensor, width: int, height: int, shifts: Tensor | None
) -> tuple[Tensor, Tensor]:
    means2d, conics = projected.means2d[view, order], projected.conics[view, order]
    x = torch.arange(width, dtype=means2d.dtype) + 0.5
    y = torch.arange(height, dtype=means2d.dtype) + 0.5
    dx = means2d[:, 0, None, None] - x
    dy = means2d[:, 1, None, None] - y[:, None]
    if shifts is not None:
        dx, dy = dx + shifts[order, ..., 0], dy + shifts[order, ..., 1]
    a, b, c = (conics[:, k, None, None] for k in range(3))
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (projected.opacities[view, order, None, None] * torch.exp(-sigma)).clamp(max=0.999)
    alpha = torch.where(alpha < 1 / 255, 0.0, alpha)
    with torch.no_grad():  # a pixel stops before the Gaussian that would take its transmittance to 1e-4
        stopped = ((torch.cumprod(1 - alpha, dim=0) <= 1e-4) & (alpha > 0)).cummax(dim=0).values
    alpha = torch.where(stopped, 0.0, alpha)
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    return alpha * before, 1 - after[-1][..., None]
