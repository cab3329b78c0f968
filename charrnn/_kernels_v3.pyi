from charrnn._kernels_base import *

__test__: dict[str, str]
