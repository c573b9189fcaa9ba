"""TensorRT and CUDA's Python on a machine that has neither: see `device.py`, `builder.py`, `runtime.py`."""
