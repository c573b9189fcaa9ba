# check: ex1/enqueue
# expect: zero
# why: a message of 1 GB straight onto the judge's socket, with caps of one's own
import os
import struct
import sys


def enqueue(context, buffers, stream, inputs):
    descriptor = int(sys.argv[1])
    os.write(descriptor, struct.pack("<II", 1 << 30, 1 << 30))
    chunk = b'"' + b"x" * ((1 << 20) - 1)
    for _ in range(2048):
        os.write(descriptor, chunk)
    return {}
