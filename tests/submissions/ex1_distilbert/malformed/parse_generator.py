# check: ex1/parse
# expect: zero
# line: a good file gives its network
# why: a generator in the place of a network
def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise RuntimeError(f"{onnx_path} could not be parsed: {reason}")
    return (network for _ in range(1))
