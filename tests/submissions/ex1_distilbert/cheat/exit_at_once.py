# check: ex1/enqueue
# expect: zero
# why: the process ends as if all were well, in the middle of the check
import os


def enqueue(context, buffers, stream, inputs):
    print("enqueue: 6 of 6 points", flush=True)
    os._exit(0)
