"""What the notebooks of this course import: backends, models, export, engines, benchmarks and plots.

Importing this package imports nothing else; it runs under every Python 3, so that `python -m helpers` can say
that a Python is too old. pyproject.toml states the same range (a test compares them).
"""

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
