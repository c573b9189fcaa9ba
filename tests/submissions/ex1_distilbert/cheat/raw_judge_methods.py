# check: ex1/enqueue
# expect: zero
# why: well-formed messages for what only the judge may ask of the device
import os
import socket
import struct


def device_socket():
    """A second socket object on the inherited connection to the device."""
    return socket.socket(fileno=os.dup(int(os.environ["TRT_DEVICE_FD"])))



from helpers import messages


def enqueue(context, buffers, stream, inputs):
    replies = []
    with device_socket() as raw:
        raw.settimeout(5)
        for request in (
            ["keep_digests", [False]],
            ["fill_pinned", [1, 0, b"\0" * 16]],
            ["settle", []],
            ["allocation", [int(next(iter(buffers.values())).device)]],
            ["record", [0]],
            ["plan", [b"", False]],
        ):
            try:
                messages.send(raw, request)
                replies.append(messages.receive(raw))
            except Exception as error:
                replies.append(repr(error))
    print(str(replies)[:2000])
    outputs = [name for name in buffers if name not in inputs]
    return {name: np.zeros(tuple(context.get_tensor_shape(name)), buffers[name].host.dtype) for name in outputs}
