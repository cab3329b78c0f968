# distutils: language = c++
include "kernels.pxi"
