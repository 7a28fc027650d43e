from .announce import Announce as Announce
from .announce import silent as silent
from .folders import MEMORY_FOLDER as MEMORY_FOLDER
from .folders import session_folder as session_folder
from .growing import PathLike as PathLike
from .scene import DEFAULT_SIZE as DEFAULT_SIZE
from .scene import Scene as Scene
