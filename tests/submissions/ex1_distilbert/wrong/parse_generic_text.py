# check: ex1/parse
# expect: partly
# line: the error says what the parser said first
# points: 2.25
# why: the parser's words are not in the error
def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = "parsing failed"
        raise RuntimeError(f"{onnx_path} could not be parsed: {reason}")
    return network
