# check: ex1/parse
# expect: wrong
# why: the loop over the errors leaves the last one in the message; the first is lost when there is more than one
NETWORK_FLAGS = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    with open(onnx_path, "rb") as f:
        success = parser.parse(f.read())
    if not success:
        msg = ""
        for i in range(parser.num_errors):
            msg = parser.get_error(i).desc()
        raise RuntimeError(f"Failed to parse {onnx_path}: {msg}")
    return network
