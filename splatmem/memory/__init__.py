"""The spatial memory: what is written, what of a view is known, and the session on disk."""

from splatmem.memory.reading import MemoryReading
from splatmem.memory.spatial_memory import SpatialMemory, WriteReport
from splatmem.memory.stored_view import PlainPictures, StoredView

__all__ = ["MemoryReading", "PlainPictures", "SpatialMemory", "StoredView", "WriteReport"]
