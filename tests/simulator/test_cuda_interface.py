"""The real GPU's device offers what the simulated one does, whether or not a GPU is here to run it."""

from __future__ import annotations

import inspect

from helpers.simulator.cuda_device import CudaDevice
from helpers.simulator.device import Device
from helpers.simulator.transport import METHODS


def test_same_methods_same_parameters():
    for name in METHODS.keys() - {"infer"}:  # a grader's, who asks a simulated device
        ours, theirs = (list(inspect.signature(getattr(cls, name)).parameters) for cls in (Device, CudaDevice))
        assert ours == theirs, name
    assert {"host_map", "release", "close"} <= set(vars(CudaDevice))
