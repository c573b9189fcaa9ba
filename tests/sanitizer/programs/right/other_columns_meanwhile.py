# expect:
"""The host writes and reads the right columns of an array while the left ones are copied."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

engine = models.engine("add")
stream = cuda.Stream()
array = cuda.pagelocked_zeros((4, 8), np.float32)
memory = cuda.to_device(np.full((4, 4), 7, np.float32))
copy = cuda.Memcpy2D()
copy.set_src_device(memory)
copy.set_dst_host(array)
copy.width_in_bytes = copy.src_pitch = 16
copy.height, copy.dst_pitch = 4, 32
copy(stream)
array[:, 4:] = 9
assert (array[:, 4:] == 9).all()
stream.synchronize()
assert (array[:, :4] == 7).all() and (array[:, 4:] == 9).all()
