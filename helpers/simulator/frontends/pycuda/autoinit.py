"""`import pycuda.autoinit`: makes a context current in this thread.

On a GPU this makes a context of pycuda's own, which PyTorch does not share; `pycuda.autoprimaryctx` shares PyTorch's.
On the simulator both are the same.
"""

from . import driver

driver.init()
device = driver.Device(0)
context = device.make_context()
