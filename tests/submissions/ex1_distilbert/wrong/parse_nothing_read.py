# check: ex1/parse
# expect: zero
# line: a good file gives its network
# why: the file is never parsed
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    if not Path(onnx_path).exists():
        raise RuntimeError(f"{onnx_path} is missing")
    return network
