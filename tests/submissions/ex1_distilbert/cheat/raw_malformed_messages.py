# check: ex1/buffers
# expect: zero
# why: garbage, and lengths that promise gigabytes, on the device's socket
import os
import socket
import struct


def device_socket():
    """A second socket object on the inherited connection to the device."""
    return socket.socket(fileno=os.dup(int(os.environ["TRT_DEVICE_FD"])))



def allocate_buffers(engine, context):
    with device_socket() as raw:
        raw.sendall(struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF))
        raw.sendall(b"\xff{[\x00" * 1000)
    return {engine.get_tensor_name(i): None for i in range(engine.num_io_tensors)}
