"""Stands in for `cuda.bindings` of cuda-python 13 on a machine without a GPU: `runtime` and `driver`.

What TensorRT programs, NVIDIA's TensorRT samples and Polygraphy use is here; any other name says so.

As in the real package every function returns a tuple: the error, then the results (None where it failed). Nothing is
raised but for arguments of the wrong type. A refusal's reason, which CUDA keeps to itself, comes as a `CudaWarning`
that names the line of the caller.
"""

from .entry import CudaWarning

__all__ = ["CudaWarning"]
__version__ = "13.4.4"  # whose names, numbers and signatures these are
