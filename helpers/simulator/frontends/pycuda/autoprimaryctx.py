"""`import pycuda.autoprimaryctx`: makes the primary context, the one that PyTorch uses, current in this thread."""

from . import driver

driver.init()
device = driver.Device(0)
context = device.retain_primary_context()
context.push()
