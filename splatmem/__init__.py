"""One photo and a camera path in; a film in which nothing vanishes and a 3D Gaussian splat scene out.

The names are loaded when they are first used (``__init__.pyi`` lists them), so that ``import splatmem`` takes no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
