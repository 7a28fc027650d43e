"""Scenes that the package meets: surfaces lifted from depth, one flat Gaussian per pixel of several views, and what
optimisation from photos leaves, with Gaussians of all sizes and half of them faint."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats
from torch import Tensor

ROOM_LOW, ROOM_HIGH = torch.tensor([-4.0, -1.5, -5.0]), torch.tensor([4.0, 1.5, 5.0])  # metres, y down
BOXES = torch.tensor(
    [
        [[-2.5, 0.3, 1.0], [-1.2, 1.5, 2.4]],
        [[0.8, -0.2, 2.2], [2.0, 1.5, 3.0]],
        [[-0.6, 0.7, -2.6], [0.7, 1.5, -1.4]],
        [[2.6, -0.9, -1.0], [3.4, 1.5, 0.6]],
    ]
)
FOV_X_DEGREES = 65.0


@dataclass
class Scene:
    """Activated parameters, as ``rasterization`` takes them."""

    name: str
    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor

    def tensors(self) -> list[Tensor]:
        return [self.means, self.quats, self.scales, self.opacities, self.colors]


def cast_rays(origin: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (in units of ``directions``) to the walls or boxes of the room, and the surfaces' normals."""
    rows = torch.arange(len(directions))
    inverse = 1 / torch.where(directions.abs() < 1e-9, 1e-9, directions)
    far = torch.maximum((ROOM_LOW - origin) * inverse, (ROOM_HIGH - origin) * inverse)
    distance, axis = far.min(dim=1)
    for low, high in BOXES:
        a, b = (low - origin) * inverse, (high - origin) * inverse
        enter, enter_axis = torch.minimum(a, b).max(dim=1)
        hit = (enter < torch.maximum(a, b).amin(dim=1)) & (enter > 1e-3) & (enter < distance)
        distance, axis = torch.where(hit, enter, distance), torch.where(hit, enter_axis, axis)
    normals = torch.zeros_like(directions)
    normals[rows, axis] = -directions[rows, axis].sign()
    return distance, normals


def cameras(count: int, width: int, height: int) -> Cameras:
    """A walk through the room that looks left and right."""
    return _cameras_at([float(i) for i in range(count)], width, height)


def walk(count: int, width: int, height: int) -> Cameras:
    """The first three of ``cameras`` and what lies between them: most of a lifted scene is in view all the time."""
    return _cameras_at([2 * i / max(count - 1, 1) for i in range(count)], width, height)


def _cameras_at(times: list[float], width: int, height: int) -> Cameras:
    cam_to_world = torch.eye(4).repeat(len(times), 1, 1)
    for pose, t in zip(cam_to_world, times, strict=True):
        yaw = 0.25 * math.sin(1.7 * t) + (0.18 * t if t > 3 else 0.0)
        c, s = math.cos(yaw), math.sin(yaw)
        pose[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        pose[:3, 3] = torch.tensor([1.2 * math.sin(0.5 * t), -0.1, -2.2 + 0.28 * t])
    return Cameras.from_fov(cam_to_world, FOV_X_DEGREES, width, height)


def lifted_scene(count: int) -> Scene:
    """Flat Gaussians of one pixel's footprint on the surfaces seen from several views at 512x288."""
    generator = torch.Generator().manual_seed(0)
    views = cameras(math.ceil(count / (512 * 288)) + 1, 512, 288)
    focal = views.focal[0, 0]
    means, quats, scales = [], [], []
    for origin, rays in zip(views.centers, views.world_rays().flatten(1, 2), strict=True):
        distance, normals = cast_rays(origin, rays)  # the rays have z = 1 in the camera: this is the depth
        noise = 0.004 * torch.randn(len(rays), 1, generator=generator)
        means.append(origin + rays * distance[:, None] + normals * noise)
        quats.append(facing(normals))
        footprint = (distance / focal)[:, None] * torch.tensor([1.0, 1.0, 0.1])
        scales.append(footprint * (0.9 + 0.2 * torch.rand(len(rays), 1, generator=generator)))
    total = len(means) * 512 * 288
    keep = torch.randperm(total, generator=generator)[:count].sort().values
    opacities = 0.9 + 0.09 * torch.rand(count, generator=generator)
    means = torch.cat(means)[keep]
    return Scene(name_of("lifted", count), means, torch.cat(quats)[keep], torch.cat(scales)[keep], opacities, texture(means))


def name_of(kind: str, count: int) -> str:
    return f"{kind} {count / 1e6:g}M" if count >= 1e6 else f"{kind} {count // 1000}k"


def texture(points: Tensor) -> Tensor:
    """Colours of a checkered room."""
    phases = points @ torch.tensor([[9.0, 4.0, 9.0], [3.0, 8.0, 4.0], [2.0, 13.0, 20.0]])
    checks = (points * 2).floor().sum(dim=1, keepdim=True) % 2
    return (0.3 + 0.2 * phases.sin() + 0.3 * checks).clamp(0, 1)


def facing(normals: Tensor) -> Tensor:
    """Quaternions whose local z axis is the normal."""
    helper = torch.where(normals[:, :1].abs() > 0.9, torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0]))
    x = torch.nn.functional.normalize(torch.cross(helper, normals, dim=1), dim=1)
    return rotations_to_quats(torch.stack([x, torch.cross(normals, x, dim=1), normals], dim=-1))


def lifted_or_trained(name: str) -> Scene:
    """The scene of a name such as "lifted-500k", "trained-200k" or "rooms-10M"."""
    kind, _, count = name.partition("-")
    makers = {"lifted": lifted_scene, "trained": trained_scene, "rooms": rooms_scene, "scattered": scattered_scene}
    units = {"k": 1e3, "M": 1e6}
    if kind not in makers or count[-1:] not in units:
        raise ValueError(f"expected a scene such as lifted-500k or trained-1.5M, got {name!r}")
    return makers[kind](round(float(count[:-1]) * units[count[-1]]))


def rooms_scene(count: int) -> Scene:
    """Ten lifted rooms a hundred metres apart: whoever is in the first sees a tenth of the scene at most."""
    room = lifted_scene(count // 10)
    tensors = [t.repeat(10, *[1] * (t.ndim - 1)) for t in room.tensors()]
    tensors[0][:, 0] += 100.0 * torch.arange(10).repeat_interleave(count // 10)
    return Scene(name_of("rooms", count), *tensors)


def scattered_scene(count: int) -> Scene:
    """The rooms' Gaussians in random order: no part of the scene is out of view as a whole."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(2))
    return Scene(name_of("scattered", count), *(t[order] for t in rooms_scene(count).tensors()))


def trained_scene(count: int = 200_000) -> Scene:
    """Gaussians of all sizes and shapes, on the surfaces and floating before them, with opacities of all kinds."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    directions = normal(count, 3)
    directions[:, 2] = directions[:, 2].abs() + 0.3
    directions = torch.nn.functional.normalize(directions, dim=1)
    origin = torch.tensor([0.0, 0.0, -1.5])
    distance, _ = cast_rays(origin, directions)
    floating = torch.rand(count, generator=generator) < 0.2
    nearer = distance * (0.3 + 0.7 * torch.rand(count, generator=generator))
    distance = torch.where(floating, nearer, distance + 0.03 * normal(count))
    size = torch.exp(math.log(0.015) + 0.8 * normal(count))
    scales = size[:, None] * torch.exp(0.6 * normal(count, 3))
    scales.scatter_(1, scales.argmin(1, keepdim=True), 0.2 * scales.amin(1, keepdim=True))
    means = origin + directions * distance[:, None]
    colors = (texture(means) + 0.1 * normal(count, 3)).clamp(0, 1)
    return Scene(name_of("trained", count), means, normal(count, 4), scales, torch.sigmoid(2 * normal(count)), colors)
