"""Capsule figures: hands with arms, heads, whole people, animals. Metres; a figure faces +z and stands on y = 0."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.meshes import Material, Mesh, rotation_about_y
from rooms.shapes import ball, box, capsule, placed, rotation_about

FINGERS = ((-0.031, 0.088, 0.066), (-0.010, 0.095, 0.078), (0.011, 0.091, 0.072), (0.030, 0.082, 0.056))
"""Place of each finger's root across the palm, its height above the wrist, and its length."""
FINGER_RADIUS = 0.0085


@dataclass(frozen=True)
class Looks:
    """Materials of one person."""

    skin: Material
    hair: Material
    shirt: Material
    trousers: Material

    @staticmethod
    def random(rng: np.random.Generator, cloth: Material | None = None) -> Looks:
        """``cloth``: a patterned material for the shirt."""
        tone = rng.uniform(0.3, 1.0)
        skin = (min(0.95, 0.28 + 0.66 * tone), 0.17 + 0.56 * tone, 0.11 + 0.5 * tone)
        return Looks(
            Material(skin),
            Material(colorsys.hsv_to_rgb(rng.uniform(0.02, 0.13), rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.6))),
            cloth or coloured(rng),
            coloured(rng),
        )


def coloured(rng: np.random.Generator) -> Material:
    """Any plain colour: greys, pastels and strong ones."""
    return Material(colorsys.hsv_to_rgb(rng.uniform(), float(rng.choice([0.05, 0.3, 0.8])), rng.uniform(0.1, 0.95)))


def hand(rng: np.random.Generator, looks: Looks, curl: float, spread: float, arm: float = 0.28) -> list[Mesh]:
    """A left hand with its forearm.

    The wrist is the origin, fingers point to +y, the palm to +z, the thumb to -x.

    Args:
        curl: 0 for straight fingers, 1 for a fist.
        spread: of the fingers, in radians between neighbours.
        arm: length of the forearm.
    """
    skin = looks.skin
    meshes = [
        ball(skin, (0.0, 0.05, 0.0), (0.044, 0.056, 0.016)),
        ball(skin, (-0.022, 0.032, 0.008), (0.02, 0.034, 0.016)),
        capsule(skin, (-0.03, 0.085, 0.0), (0.029, 0.08, 0.0), 0.012),
    ]
    for index, (x, y, length) in enumerate(FINGERS):
        bend = np.clip(curl + rng.normal(0.0, 0.06), 0.0, 1.0) * 1.5
        sideways = (index - 1.5) * spread
        joint, direction = np.array([x, y, 0.0]), 0.0
        for share, radius in ((0.45, 1.0), (0.3, 0.92), (0.25, 0.82)):
            direction += bend * (0.55 if share == 0.45 else 0.5)
            step = np.array([np.sin(sideways) * np.cos(direction), np.cos(sideways) * np.cos(direction), np.sin(direction)])
            end = joint + length * share * step
            meshes.append(capsule(skin, joint, end, FINGER_RADIUS * radius, FINGER_RADIUS * radius * 0.93, segments=8))
            joint = end
    root = np.array([-0.036, 0.03, 0.008])
    out = rng.uniform(0.2, 0.9) * (1.0 - 0.6 * curl)
    knuckle = root + 0.042 * np.array([-np.sin(out), np.cos(out), 0.35 + 0.5 * curl])
    tip = knuckle + 0.034 * np.array([-np.sin(out) * (1 - curl) + 0.5 * curl, np.cos(out), 0.3 + 0.6 * curl])
    meshes += [capsule(skin, root, knuckle, 0.0125, 0.0105, 8), capsule(skin, knuckle, tip, 0.0105, 0.0085, 8)]
    elbow = np.array([rng.normal(0.0, 0.03), -arm, rng.normal(0.0, 0.03)])
    meshes.append(capsule(skin, (0.0, 0.015, 0.0), elbow, 0.026, 0.043))
    if rng.random() < 0.6:
        cuff = rng.uniform(0.15, 0.7)
        meshes.append(capsule(looks.shirt, cuff * elbow, elbow, 0.04, 0.052))
    if rng.random() < 0.2:
        meshes.append(capsule(coloured(rng), 0.1 * elbow, 0.16 * elbow, 0.031))
    return meshes


def mirrored(meshes: list[Mesh]) -> list[Mesh]:
    """The right hand of a left one: x is turned about, and so is the order of the corners."""
    flip = np.array([-1.0, 1.0, 1.0], np.float32)
    return [
        replace(m, positions=m.positions[:, ::-1] * flip, uvs=m.uvs[:, ::-1], normals=m.normals[:, ::-1] * flip) for m in meshes
    ]


def head(rng: np.random.Generator, looks: Looks) -> list[Mesh]:
    """A head whose chin is at y = 0, 23 cm high, with a face towards +z."""
    skin, dark = looks.skin, Material((0.08, 0.06, 0.05))
    meshes = [
        ball(skin, (0.0, 0.115, 0.0), (0.073, 0.115, 0.092), 20),
        ball(skin, (0.0, 0.035, 0.035), (0.045, 0.035, 0.045)),
        capsule(skin, (0.0, 0.125, 0.088), (0.0, 0.085, 0.108), 0.009, 0.014),
        capsule(Material((0.55, 0.25, 0.22)), (-0.02, 0.052, 0.083), (0.02, 0.052, 0.083), 0.006),
    ]
    for side in (-1, 1):
        meshes.append(ball(Material((0.9, 0.88, 0.85)), (side * 0.03, 0.125, 0.078), (0.014, 0.008, 0.01), 8))
        meshes.append(ball(dark, (side * 0.03, 0.125, 0.086), (0.006, 0.006, 0.004), 8))
        meshes.append(capsule(looks.hair, (side * 0.017, 0.145, 0.087), (side * 0.045, 0.145, 0.074), 0.005))
        meshes.append(ball(skin, (side * 0.074, 0.11, -0.005), (0.01, 0.03, 0.018), 8))
    style = rng.random()
    if style < 0.85:
        meshes.append(ball(looks.hair, (0.0, 0.145, -0.018), (0.081, 0.1, 0.092), 18))
    if style < 0.35:
        meshes.append(ball(looks.hair, (0.0, 0.05, -0.045), (0.085, 0.15, 0.055), 14))
    if rng.random() < 0.2:
        for side in (-1, 1):
            frame = ball(dark, (side * 0.032, 0.125, 0.094), (0.024, 0.017, 0.003), 10)
            meshes.append(frame)
    return meshes


def limb(material: Material, *joints: Float[ndarray, "3"], radii: tuple[float, ...]) -> list[Mesh]:
    """Tapered capsules from joint to joint."""
    pairs = zip(joints[:-1], joints[1:], radii[:-1], radii[1:], strict=True)
    return [capsule(material, a, b, ra, rb) for a, b, ra, rb in pairs]


def person(rng: np.random.Generator, looks: Looks, sitting: bool = False) -> list[Mesh]:
    """A person of random height and pose."""
    scale = rng.uniform(0.88, 1.1) if rng.random() < 0.8 else rng.uniform(0.5, 0.85)
    hip = np.array([0.0, 0.5 if sitting else 0.92, 0.0])
    lean = rng.normal(0.0, 0.08, 2)
    chest = hip + np.array([lean[0], 0.42, lean[1]])
    neck = chest + np.array([0.0, 0.12, 0.01])
    meshes = [
        ball(looks.trousers, hip, (0.17, 0.13, 0.12)),
        capsule(looks.shirt, hip + np.array([0, 0.08, 0]), chest, 0.125, 0.15),
        capsule(looks.shirt, chest + np.array([-0.13, 0.04, 0]), chest + np.array([0.13, 0.04, 0]), 0.075),
        capsule(looks.skin, neck, neck + np.array([0, 0.09, 0.01]), 0.052),
    ]
    turn = rotation_about_y(float(rng.normal(0, 30))) @ rotation_about(0, rng.normal(0.05, 0.15))
    meshes += placed(head(rng, looks), turn, neck + np.array([0.0, 0.07, 0.0]))
    sleeve = looks.shirt if rng.random() < 0.6 else looks.skin
    for side in (-1, 1):
        shoulder = chest + np.array([side * 0.19, 0.05, 0.0])
        out, forward, bend = rng.uniform(0.05, 0.5), rng.normal(0.1, 0.5), rng.uniform(0.0, 1.8)
        elbow = shoulder + 0.29 * _direction(side * out, forward)
        wrist = elbow + 0.25 * _direction(side * out * 0.3, forward + bend)
        meshes += limb(sleeve, shoulder, elbow, wrist, radii=(0.056, 0.043, 0.03))
        meshes.append(ball(looks.skin, wrist + 0.06 * _direction(0.0, forward + bend), (0.035, 0.06, 0.03)))
        stride = rng.normal(0.0, 0.25)
        joint = hip + np.array([side * 0.09, -0.04, 0.0])
        knee = joint + (np.array([side * 0.05, 0.0, 0.42]) if sitting else 0.43 * _direction(side * 0.05, stride))
        foot = knee + 0.43 * _direction(0.0, 0.0 if sitting else min(stride, 0.0) - 0.05)
        meshes += limb(looks.trousers, joint, knee, foot, radii=(0.085, 0.06, 0.045))
        meshes.append(box(Material((0.12, 0.1, 0.1)), foot + np.array([0, -0.03, 0.07]), (0.09, 0.08, 0.26)))
    lowest = min(float(mesh.positions[..., 1].min()) for mesh in meshes)
    return placed(meshes, np.eye(3), np.array([0.0, -scale * lowest, 0.0]), scale)


def _direction(out: float, forward: float) -> Float[ndarray, "3"]:
    """Down, swung outwards (x) and forwards (z) by these angles."""
    return np.array([np.sin(out), -np.cos(out) * np.cos(forward), np.cos(out) * np.sin(forward)])


def animal(rng: np.random.Generator, material: Material, other: Material) -> list[Mesh]:
    """A soft toy or a pet, half a metre long: body, head, ears, four legs, a tail."""
    length, girth, leg = rng.uniform(0.15, 0.26), rng.uniform(0.08, 0.15), rng.uniform(0.06, 0.24)
    height = leg + girth
    skull = np.array([0.0, height + rng.uniform(0.02, 0.2), length + rng.uniform(0.0, 0.1)])
    size = rng.uniform(0.06, 0.12)
    meshes = [
        ball(material, (0.0, height, 0.0), (girth, girth, length), 18),
        capsule(material, (0.0, height + 0.3 * girth, 0.7 * length), skull, 0.7 * girth, 0.7 * size),
        ball(material, skull, (size, size, size * 1.1), 16),
        ball(other, skull + np.array([0.0, -0.3 * size, size]), (0.6 * size, 0.5 * size, rng.uniform(0.5, 1.2) * size)),
        capsule(other, (0, height, -length), (0, height + rng.uniform(-0.1, 0.2), -length - rng.uniform(0, 0.2)), 0.02, 0.015),
    ]
    for side in (-1, 1):
        ear = skull + np.array([side * 0.9 * size, rng.uniform(0.2, 0.9) * size, 0.0])
        meshes.append(ball(other, ear, (0.35 * size, rng.uniform(0.4, 1.2) * size, 0.2 * size), 10))
        meshes.append(
            ball(
                Material((0.05, 0.05, 0.05)),
                skull + np.array([side * 0.4 * size, 0.3 * size, 0.9 * size]),
                [0.12 * size] * 3,
                8,
            )
        )
        for end in (-0.75, 0.75):
            hip = np.array([side * 0.6 * girth, height - 0.3 * girth, end * length])
            paw = np.array([hip[0] + side * rng.uniform(0, 0.06), 0.035, hip[2] + rng.uniform(-0.08, 0.08)])
            meshes.append(capsule(material, hip, paw, 0.05, 0.035))
    if rng.random() < 0.3:  # a rocking animal stands on runners
        for side in (-1, 1):
            along = np.linspace(-1.5, 1.5, 6) * length
            points = [np.array([side * girth, 0.25 * (z / (1.5 * length)) ** 2 * length - 0.02, z]) for z in along]
            meshes += limb(other, *points, radii=(0.02,) * 6)
    lowest = min(float(mesh.positions[..., 1].min()) for mesh in meshes)
    return placed(meshes, np.eye(3), np.array([0.0, -lowest, 0.0]))
