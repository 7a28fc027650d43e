"""A scene: its memory, the models that make it, and how it came to be. The command line, jobs and Python all hold one.

The names are loaded when they are first used (``__init__.pyi`` lists them): to film a memory needs none of what makes one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
