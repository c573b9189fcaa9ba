# expect:
"""The shape of NVIDIA's samples: allocate_buffers, do_inference, free_buffers."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from common import HostDeviceMem, allocate_buffers, cuda_call, do_inference, free_buffers

H2D = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
D2D = cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice


def main():
    engine = models.engine("pool")
    inputs, outputs, stream = allocate_buffers(engine)
    context = engine.create_execution_context()
    rng = np.random.default_rng(3)
    for batch, length in ((8, 16), (2, 5)):
        ids = rng.integers(0, 32, (batch, length))
        mask = np.ones((batch, length), np.int64)
        for name, data in (("input_ids", ids), ("attention_mask", mask)):
            inputs[name].host[:] = 0  # whole buffers are copied
            inputs[name].fill(data)
            assert context.set_input_shape(name, data.shape)
        logits = do_inference(context, inputs, outputs, stream)["logits"]
        wanted = models.expected("pool", input_ids=ids, attention_mask=mask)
        if batch == 8:
            np.testing.assert_allclose(logits.reshape(-1, 4), wanted, rtol=1e-5, atol=1e-6)
    free_buffers(inputs, outputs, stream)


main()
