# check: ex1/parse
# expect: wrong
# line: the error says what the parser said first
# points: 2
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: takes an empty network for the failure; a parse that stops in the middle of the graph leaves layers behind
NETWORK_FLAGS = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    parser.parse(Path(onnx_path).read_bytes())
    if network.num_layers == 0:
        reason = parser.get_error(0).desc() if parser.num_errors else "the file is empty"
        raise RuntimeError(f"parsing {onnx_path} failed: {reason}")
    return network
