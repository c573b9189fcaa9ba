# expect:
"""The course's own runner: buffers at the maximum, and only the batch's bytes are copied."""

import sys
from pathlib import Path

import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as cuda
import tensorrt as trt

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

from helpers.runtime import TensorRTRunner

engine = models.engine("pool")
rng = np.random.default_rng(6)
with TensorRTRunner(engine) as runner:
    for batch, length in ((1, 3), (8, 16), (2, 2)):
        ids = rng.integers(0, 32, (batch, length))
        mask = (rng.random((batch, length)) < 0.5).astype(np.int64)
        logits = runner(input_ids=ids, attention_mask=mask)["logits"]
        wanted = models.expected("pool", input_ids=ids, attention_mask=mask)
        np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
