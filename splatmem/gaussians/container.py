"""The one container for 3D Gaussians, holding raw parameters with the activation in each name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians.changes import tensor_version
from splatmem.gaussians.lineage import Lineage
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.render.spherical_harmonics import SH_C0


@dataclass
class Gaussians:
    """``n`` anisotropic 3D Gaussians (Kerbl et al. 2023, "3D Gaussian Splatting").

    Attributes:
        means: centres in the world, ``[n, 3]``.
        quats: rotations local-to-world as ``wxyz``, ``[n, 4]``; need not be of unit length. The thin axis is local z, and
            +z faces the camera that saw the surface.
        log_scales: natural logarithm of the standard deviations along the local axes, in world units, ``[n, 3]``.
        opacity_logits: opacity before the sigmoid, ``[n]``.
        sh: spherical-harmonic coefficients of the sRGB colour, ``[n, k, 3]`` with ``k`` = 1, 4, 9 or 16; the colour of a
            Gaussian with k = 1 is ``0.5 + SH_C0 * sh[:, 0]``.
        features: further channels to be drawn, ``[n, f]``, or None.
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    log_scales: Float[Tensor, "n 3"]
    opacity_logits: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]
    features: Float[Tensor, "n f"] | None = None

    def __post_init__(self) -> None:
        n = len(self.means)
        expected = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"Gaussians.{name} must have shape {shape}, got {tuple(getattr(self, name).shape)}")
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[1] not in (1, 4, 9, 16) or self.sh.shape[2] != 3:
            raise ValueError(f"Gaussians.sh must have shape ({n}, 1|4|9|16, 3), got {tuple(self.sh.shape)}")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != n):
            raise ValueError(f"Gaussians.features must have shape ({n}, f), got {tuple(self.features.shape)}")
        self._activated: dict[str, tuple[Tensor, int, Tensor]] = {}
        self._descend(Lineage.new(n))

    def _descend(self, lineage: Lineage) -> None:
        self._lineage, self._contents = lineage, self._recognised()

    def _recognised(self) -> tuple[tuple[int, int], ...]:
        """Where each parameter lies and how often it was changed there: another tensor, or a change in place, shows."""
        values = [value for f in fields(self) if (value := getattr(self, f.name)) is not None]
        return tuple((value.data_ptr(), tensor_version(value)) for value in values)

    @property
    def lineage(self) -> Lineage:
        """Which of the Gaussians are those of other scenes, from which these were joined; another one after every change in
        place that PyTorch knows of."""
        if self._contents != self._recognised():
            self._descend(Lineage.new(len(self)))
        return self._lineage

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Gaussians:
        """No Gaussians, with one band of spherical harmonics."""
        zeros = [torch.zeros(0, *shape, device=device) for shape in ((3,), (4,), (3,), (), (1, 3))]
        return Gaussians(*zeros)

    @staticmethod
    def cat(parts: Sequence[Gaussians]) -> Gaussians:
        """All Gaussians of ``parts`` in order; features survive only if every non-empty part has them."""
        parts = [p for p in parts if len(p)] or list(parts[:1])
        if not parts:
            return Gaussians.empty()
        bands = max(p.sh.shape[1] for p in parts)
        missing = [bands - p.sh.shape[1] for p in parts]
        sh = [torch.nn.functional.pad(p.sh, (0, 0, 0, m)) if m else p.sh for p, m in zip(parts, missing, strict=True)]
        features = [p.features for p in parts if p.features is not None]
        joined = Gaussians(
            torch.cat([p.means for p in parts]),
            torch.cat([p.quats for p in parts]),
            torch.cat([p.log_scales for p in parts]),
            torch.cat([p.opacity_logits for p in parts]),
            torch.cat(sh),
            torch.cat(features) if len(features) == len(parts) else None,
        )
        if all(p.sh.shape[1] == bands and (p.features is None) == (joined.features is None) for p in parts):
            joined._descend(Lineage.joined([p.lineage for p in parts]))
        return joined

    def followed_by(self, added: Gaussians, parameters: dict[str, Tensor]) -> Gaussians:
        """These and then the added ones, whose values, joined, are ``parameters``, by their names."""
        joined = Gaussians(**parameters)
        joined._descend(Lineage.joined([self.lineage, added.lineage]))
        return joined

    def with_values(self, **parameters: Tensor) -> Gaussians:
        """The Gaussians with other values of some parameters, by their names."""
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return Gaussians(**(own | parameters))

    def recoloured(self, sh: Float[Tensor, "n k 3"], first: int, last: int) -> Gaussians:
        """The Gaussians with other coefficients, which differ from these in ``first`` to ``last - 1`` alone."""
        changed = self.with_values(sh=sh)
        changed._descend(self.lineage.changed(first, last))
        return changed

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.means.device

    def __len__(self) -> int:
        return self.means.shape[0]

    def _map(self, function) -> Gaussians:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        mapped: dict[str, Any] = {k: None if v is None else function(v) for k, v in values.items()}
        return Gaussians(**mapped)

    def select(self, index: Bool[Tensor, " n"] | Int[Tensor, " m"] | slice) -> Gaussians:
        """The Gaussians that a mask, indices from 0 on, or a slice choose."""
        if isinstance(index, slice):
            return self._map(lambda t: t[index])
        # Several times as fast as indexing.
        numbers = (index.nonzero()[:, 0] if index.dtype == torch.bool else index).to(self.device)
        return self._map(lambda t: t.index_select(0, numbers))

    def to(self, device: torch.device | str) -> Gaussians:
        """The same Gaussians on another device."""
        return self._map(lambda t: t.to(device))

    def detach(self) -> Gaussians:
        return self._map(Tensor.detach)

    @property
    def scales(self) -> Float[Tensor, "n 3"]:
        """Standard deviations along the local axes, in world units."""
        return self._kept("scales", self.log_scales, torch.exp)

    @property
    def opacities(self) -> Float[Tensor, " n"]:
        """Opacities in 0..1."""
        return self._kept("opacities", self.opacity_logits, torch.sigmoid)

    def _kept(self, name: str, parameter: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """A function of a parameter, kept until that changes: a scene is drawn many times, and both take a tenth of it."""
        if parameter.requires_grad or parameter.is_inference():
            return function(parameter)
        kept = self._activated.get(name)
        if kept is None or kept[0] is not parameter or kept[1] != tensor_version(parameter):
            kept = self._activated[name] = parameter, tensor_version(parameter), function(parameter)
        return kept[2]

    @property
    def rgb(self) -> Float[Tensor, "n 3"]:
        """View-independent part of the colour, sRGB, not clamped."""
        return 0.5 + SH_C0 * self.sh[:, 0]

    @property
    def rotations(self) -> Float[Tensor, "n 3 3"]:
        """Rotation matrices local-to-world."""
        return quats_to_rotations(self.quats)

    @property
    def normals(self) -> Float[Tensor, "n 3"]:
        """Local +z in the world: it points to the side from which the surface was seen."""
        w, x, y, z = torch.nn.functional.normalize(self.quats, dim=-1).unbind(-1)
        return torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], dim=-1)

    @property
    def nbytes(self) -> int:
        """Bytes of all parameters."""
        values = (getattr(self, f.name) for f in fields(self))
        return sum(v.numel() * v.element_size() for v in values if v is not None)


def logit(probability: Tensor | float) -> Tensor:
    """Inverse of the sigmoid."""
    p = torch.as_tensor(probability)
    return torch.log(p) - torch.log1p(-p)


def rgb_to_sh(rgb: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1 3"]:
    """Coefficients of the constant band for an sRGB colour."""
    return ((rgb - 0.5) / SH_C0)[:, None]
