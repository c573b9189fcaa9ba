# check: ex2/preallocate
# expect: zero
# why: ends the process when it is asked
import os


def preallocated_step(context, stream, copy_logits):
    os._exit(0)
