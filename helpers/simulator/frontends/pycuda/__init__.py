"""Stands in for `pycuda` on a machine without a GPU; see `driver.py` for what it offers."""

VERSION = (2026, 1)
VERSION_STATUS = "simulator"
VERSION_TEXT = "2026.1-simulator"
