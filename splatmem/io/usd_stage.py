"""OpenUSD stages in our conventions: y up, one unit a metre, cameras in frames of the film (https://openusd.org)."""

# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# usd-core has no type information: its modules fill themselves when they are imported.
from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from splatmem.geometry.cameras import Cameras
from splatmem.io.y_up_cameras import camera_matrices_y_up

if TYPE_CHECKING:
    from pxr import Usd

APERTURE = 36.0  # width of the film gate in millimetres, a full frame's: only its ratio to the focal length counts
CLIPPING = (0.01, 10_000.0)


def require_usd() -> None:
    """Raises ``ValueError`` where the package usd-core is missing."""
    if find_spec("pxr") is None:
        raise ValueError("OpenUSD files need the package usd-core: pip install 'splatmem[usd]'")


def new_stage(fps: float) -> Usd.Stage:
    """An empty stage in memory with y up."""
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(fps)
    stage.SetFramesPerSecond(fps)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    return stage


def add_camera(stage: Usd.Stage, place: str, cameras: Cameras) -> None:
    """Adds a camera that stands where the first one of ``cameras`` does, and moves along the others, a time code each."""
    from pxr import Gf, UsdGeom

    camera = UsdGeom.Camera.Define(stage, place)
    camera.CreateClippingRangeAttr(Gf.Vec2f(*CLIPPING))
    still = len(cameras) == 1
    matrix, moved = camera.AddTransformOp(), camera_matrices_y_up(cameras)
    attributes = (
        camera.CreateFocalLengthAttr(), camera.CreateHorizontalApertureAttr(), camera.CreateVerticalApertureAttr(),
        camera.CreateHorizontalApertureOffsetAttr(), camera.CreateVerticalApertureOffsetAttr(),
    )  # fmt: skip
    for frame, (pose, lens) in enumerate(zip(moved, cameras.intrinsics.double().tolist(), strict=True)):
        (fx, _, cx), (_, fy, cy), _ = lens
        gate = APERTURE / cameras.width
        values = (
            fx * gate, APERTURE, cameras.height * fx / fy * gate,
            (cameras.width / 2 - cx) * gate, (cy - cameras.height / 2) * fx / fy * gate,
        )  # fmt: skip
        time = () if still else (float(frame),)
        matrix.Set(Gf.Matrix4d(pose.T.tolist()), *time)  # rows are multiplied from the left there
        for attribute, value in zip(attributes, values, strict=True):
            attribute.Set(value, *time)
    if not still:
        stage.SetStartTimeCode(0.0)
        stage.SetEndTimeCode(len(cameras) - 1.0)
