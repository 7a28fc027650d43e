"""Intrinsics distortion, taken out of pictures through OpenCV: what is left is the pinhole with the same focal lengths.

Models: OpenCV's rational one (``calib3d``: radial k1..k6 and tangential p1, p2), of which COLMAP's SIMPLE_RADIAL, RADIAL,
OPENCV and FULL_OPENCV are parts, and its fisheye one (Kannala & Brandt 2006: k1..k4), of which the *_FISHEYE models are parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

SAMPLES = 512  # radii at which a model is tried
MIN_SHOWN = 0.2  # share of the undistorted picture that the distorted one must cover


@dataclass(frozen=True)
class Distortion:
    """How a lens departs from a pinhole.

    Attributes:
        fisheye: whether the coefficients are those of the fisheye model.
        coefficients: in OpenCV's order: k1, k2, p1, p2, k3, k4, k5, k6, or of a fisheye k1..k4.
    """

    fisheye: bool
    coefficients: tuple[float, ...]

    @staticmethod
    def of(fisheye: bool, coefficients: tuple[float, ...]) -> Distortion | None:
        """None where nothing is to be undone; missing coefficients are 0."""
        if not fisheye and not any(coefficients):
            return None
        return Distortion(fisheye, coefficients + (0.0,) * ((4 if fisheye else 8) - len(coefficients)))

    def reach(self, farthest: float) -> float:
        """The distance from the axis, in units of the focal length, up to which the model grows; at most ``farthest``."""
        radius = np.linspace(0, farthest, SAMPLES)
        with np.errstate(all="ignore"):
            if self.fisheye:
                angle = np.arctan(radius)
                mapped = angle * _polynomial(angle**2, self.coefficients)
            else:
                k1, k2, _, _, k3, k4, k5, k6 = self.coefficients
                mapped = radius * _polynomial(radius**2, (k1, k2, k3)) / _polynomial(radius**2, (k4, k5, k6))
            grows = np.isfinite(mapped[1:]) & (np.diff(mapped) > 0)
        return float(radius[-1] if grows.all() else radius[int(np.argmin(grows))])


def _polynomial(squares: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """1 + c1 x + c2 x^2 + ..."""
    return np.polynomial.polynomial.polyval(squares, (1.0, *coefficients))


@dataclass(frozen=True)
class Undistortion:
    """Where each pixel of an undistorted picture lies in the distorted one of the same size.

    Attributes:
        columns, rows: in OpenCV's pixels, whose centres are whole numbers.
        shown: pixels that the distorted picture shows.
    """

    columns: Float[np.ndarray, "h w"]
    rows: Float[np.ndarray, "h w"]
    shown: Bool[np.ndarray, "h w"]

    @staticmethod
    def of(
        distortion: Distortion, focal: tuple[float, float], center: tuple[float, float], size: tuple[int, int], where: str
    ) -> Undistortion:
        """What undoes the distortion of a picture.

        Args:
            focal, center: of the lens in pixels, whose centres lie at +0.5.
            size: (width, height).
            where: for the message.

        Raises:
            ValueError: the distortion cannot be undone: it covers too little of the picture.
        """
        import cv2

        camera = np.array([[focal[0], 0, center[0] - 0.5], [0, focal[1], center[1] - 0.5], [0, 0, 1]])
        coefficients = np.array(distortion.coefficients)
        one = np.eye(3)
        if distortion.fisheye:
            columns, rows = cv2.fisheye.initUndistortRectifyMap(camera, coefficients, one, camera, size, cv2.CV_32FC1)
        else:
            columns, rows = cv2.initUndistortRectifyMap(camera, coefficients, one, camera, size, cv2.CV_32FC1)
        x = (np.arange(size[0]) + 0.5 - center[0]) / focal[0]
        y = (np.arange(size[1]) + 0.5 - center[1]) / focal[1]
        radius = np.hypot(x[None], y[:, None])
        shown = np.isfinite(columns) & np.isfinite(rows) & (radius <= distortion.reach(float(radius.max())))
        shown &= (columns >= -0.5) & (columns <= size[0] - 0.5) & (rows >= -0.5) & (rows <= size[1] - 0.5)
        if shown.mean() < MIN_SHOWN:
            raise ValueError(
                f"{where}: the lens's distortion {distortion.coefficients} cannot be undone: only {100 * shown.mean():.0f} % "
                "of the undistorted picture would show anything; check the numbers, or undistort the pictures first"
            )
        return Undistortion(columns, rows, shown)

    def picture(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        import cv2

        columns, rows = (np.where(self.shown, places, 0) for places in (self.columns, self.rows))
        return cv2.remap(rgb, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
        """A mask of the distorted picture, without what it does not show."""
        height, width = mask.shape
        columns = np.where(self.shown, self.columns, 0).round().astype(int).clip(0, width - 1)
        rows = np.where(self.shown, self.rows, 0).round().astype(int).clip(0, height - 1)
        return mask[rows, columns] & self.shown


def finite(coefficients: tuple[float, ...]) -> bool:
    return all(math.isfinite(c) and abs(c) < 1e6 for c in coefficients)
