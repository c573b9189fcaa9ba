"""Finds mistakes in TensorRT programs on the simulated device: `python -m helpers sanitize script.py`.

Or in a notebook: `%load_ext helpers.sanitizer`, then `%%sanitize` at the top of a cell. See docs/sanitizer.md.
"""
