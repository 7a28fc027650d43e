from .depth import DepthPrediction as DepthPrediction
from .depth import load_depth_estimator as load_depth_estimator
from .evaluation.run import evaluate as evaluate
from .explore.loop import ExploreSettings as ExploreSettings
from .explore.planner import Plan as Plan
from .explore.unknown_cells import unknown_cells as unknown_cells
from .gaussians import Gaussians as Gaussians
from .geometry.cameras import Cameras as Cameras
from .geometry.cameras import identity_camera as identity_camera
from .inpaint import FilledFrames as FilledFrames
from .inpaint import PartialFrames as PartialFrames
from .inpaint import load_inpainter as load_inpainter
from .io.photo import load_photo as load_photo
from .io.ply import load_ply as load_ply
from .io.ply import save_ply as save_ply
from .io.splats.files import load_splats as load_splats
from .io.splats.files import save_splats as save_splats
from .jobs.flyaround import flyaround as flyaround
from .jobs.options import FlyaroundOptions as FlyaroundOptions
from .memory import MemoryReading as MemoryReading
from .memory import SpatialMemory as SpatialMemory
from .memory.session import load_session as load_session
from .memory.session import save_session as save_session
from .report.progress import RunProgress as RunProgress
from .scene import Scene as Scene
from .trajectory.presets import make_path as make_path
from .trajectory.trajectory import Trajectory as Trajectory

__all__ = [
    "Cameras",
    "DepthPrediction",
    "ExploreSettings",
    "FilledFrames",
    "FlyaroundOptions",
    "Gaussians",
    "MemoryReading",
    "PartialFrames",
    "Plan",
    "RunProgress",
    "Scene",
    "SpatialMemory",
    "Trajectory",
    "evaluate",
    "flyaround",
    "identity_camera",
    "load_depth_estimator",
    "load_inpainter",
    "load_photo",
    "load_ply",
    "load_session",
    "load_splats",
    "make_path",
    "save_ply",
    "save_session",
    "save_splats",
    "unknown_cells",
]
