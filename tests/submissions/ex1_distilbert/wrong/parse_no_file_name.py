# check: ex1/parse
# expect: partly
# line: the error says which file it was
# points: 2.75
# why: the name of the file is not in the error
def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise RuntimeError(f"the file could not be parsed: {reason}")
    return network
