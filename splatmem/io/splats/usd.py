"""Gaussian splats as OpenUSD (.usdc, .usdz): the schema UsdVol ParticleField3DGaussianSplat, of OpenUSD 26.03 and later.

Source: https://openusd.org/release/api/usd_vol_page_front.html. Scales are linear, opacities 0..1, the world has y up. A
camera, moving along the film where there is one, lies beside the splats.
"""

# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# usd-core has no type information: its modules fill themselves when they are imported.
from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit
from splatmem.gaussians.transform import transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.similarity import Similarity
from splatmem.io.atomic import atomic_path
from splatmem.io.drawable import MOST_OPAQUE, drawable
from splatmem.io.splats.axes import half_turn_about_x, without_empty_bands
from splatmem.io.usd_stage import add_camera, new_stage, require_usd

if TYPE_CHECKING:
    from pxr import Usd

SCHEMA = "ParticleField3DGaussianSplat"
Z_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))  # from x right, y forward, z up to our axes


def write_usd(gaussians: Gaussians, path: Path, cameras: Cameras | None, fps: float) -> list[str]:
    """Writes a .usdc, or a .usdz with one in it.

    Raises:
        ValueError: usd-core is not installed; or a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    require_usd()
    from pxr import Gf, Sdf, UsdUtils, UsdVol, Vt

    turned = half_turn_about_x(without_empty_bands(gaussians.to("cpu").detach()))
    quats = torch.nn.functional.normalize(turned.quats, dim=-1).roll(-1, dims=-1)
    columns = (turned.means, turned.scales, turned.opacities[:, None], quats, turned.sh.flatten(1))
    if not all(values.isfinite().all() for values in columns):
        raise ValueError("some Gaussians have a parameter that is NaN or infinite; remove them first")
    means, scales, opacities, rotations, sh = (np.ascontiguousarray(v.numpy(), dtype=np.float32) for v in columns)
    stage = new_stage(fps)
    splats = UsdVol.ParticleField3DGaussianSplat.Define(stage, "/World/Splats")
    splats.CreatePositionsAttr(Vt.Vec3fArray.FromNumpy(means))
    splats.CreateScalesAttr(Vt.Vec3fArray.FromNumpy(scales))
    splats.CreateOrientationsAttr(Vt.QuatfArray.FromNumpy(rotations))
    splats.CreateOpacitiesAttr(Vt.FloatArray.FromNumpy(opacities[:, 0].copy()))
    splats.CreateRadianceSphericalHarmonicsCoefficientsAttr(Vt.Vec3fArray.FromNumpy(sh.reshape(-1, 3)))
    splats.CreateRadianceSphericalHarmonicsDegreeAttr(math.isqrt(turned.sh.shape[1]) - 1)
    if len(means):
        bounds = (means - 3 * scales.max(1, keepdims=True)).min(0), (means + 3 * scales.max(1, keepdims=True)).max(0)
        splats.CreateExtentAttr([Gf.Vec3f(*corner.tolist()) for corner in bounds])
    if cameras is not None:
        add_camera(stage, "/World/Camera", cameras)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".usdz":
            with tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".usd") as folder:
                crate = Path(folder) / "scene.usdc"
                stage.GetRootLayer().Export(str(crate))
                if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(crate)), str(temporary)):
                    raise OSError(f"{path}: the package cannot be written")
        else:
            stage.GetRootLayer().Export(str(temporary))
    return []


def read_usd(path: Path) -> tuple[Gaussians, list[str]]:
    """The Gaussians of a stage, in our axes, and notes on those that were left out.

    Raises:
        ValueError: usd-core is not installed, the file is no whole stage, or it holds no splats of this schema.
    """
    require_usd()
    from pxr import Tf, Usd, UsdGeom

    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise ValueError(f"{path}: expected a whole OpenUSD file, but it cannot be read") from error
    prims = [prim for prim in stage.Traverse() if prim.GetTypeName() == SCHEMA]
    if not prims:
        raise ValueError(f"{path} holds no Gaussian splats: no prim is a {SCHEMA}")
    gaussians, notes = drawable(Gaussians.cat([_gaussians(prim, path) for prim in prims]))
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z:
        return transformed(gaussians, Similarity(torch.tensor(Z_UP), 1.0, torch.zeros(3))), notes
    return half_turn_about_x(gaussians), notes


def _gaussians(prim: Usd.Prim, path: Path) -> Gaussians:
    from pxr import Gf, Usd, UsdGeom, UsdVol

    if UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default()) != Gf.Matrix4d(1):
        raise ValueError(f"{path}: {prim.GetPath()} is moved, turned or scaled: apply its transform first")
    splats = UsdVol.ParticleField3DGaussianSplat(prim)

    def read(full, half) -> Float[Tensor, "n c"]:
        values = full.Get()
        if values is None or not len(values):  # half precision is the schema's other choice
            values = half.Get()
        if values is None:
            raise ValueError(f"{path}: {prim.GetPath()} lacks {full.GetName()}")
        rows = np.array(values, dtype=np.float32)
        return torch.from_numpy(rows.reshape(len(rows), -1))

    means = read(splats.GetPositionsAttr(), splats.GetPositionshAttr())
    sh = read(
        splats.GetRadianceSphericalHarmonicsCoefficientsAttr(), splats.GetRadianceSphericalHarmonicsCoefficientshAttr()
    )  # fmt: skip
    return Gaussians(
        means,
        read(splats.GetOrientationsAttr(), splats.GetOrientationshAttr()).roll(1, dims=-1),
        read(splats.GetScalesAttr(), splats.GetScaleshAttr()).log(),
        logit(read(splats.GetOpacitiesAttr(), splats.GetOpacitieshAttr())[:, 0].clamp(0, MOST_OPAQUE)),
        sh.reshape(len(means), -1, 3) if len(means) else torch.zeros(0, 1, 3),
    )
