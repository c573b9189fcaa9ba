# check: ex1/parse
# expect: zero
# why: a malformed message to the device while the check runs
def parse_network(builder, onnx_path, logger):
    from helpers.simulator import host
    host.current().device._socket.sendall(b"\xff" * 64)
    return None
