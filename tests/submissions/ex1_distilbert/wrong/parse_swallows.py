# check: ex1/parse
# expect: partly
# line: a file that is cut off raises an error
# points: 1
# why: the failure is printed and the network returned as if nothing had happened
def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx_path).read_bytes()):
        reason = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        print(f"{onnx_path} could not be parsed: {reason}")
    return network
