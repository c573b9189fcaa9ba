"""Fuzzing: files and messages that nobody meant to send, and what the simulator makes of them.

`python -m tests.fuzz` runs the full counts (`make fuzz`); `test_fuzz.py` runs a fixed share of them in `make test`.
Case `n` of a kind is a function of (kind, seed, n) alone: whatever is found can be made again by its number.
"""
