# check: ex1/parse
# expect: zero
# why: the process ends when the cell runs, before any check
import os

print("parse: 3 of 3 points", flush=True)
os._exit(0)
