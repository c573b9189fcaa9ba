# check: ex1/parse
# expect: right
# why: the parser opens the file itself (parse_from_file), and the message holds all of its errors, the first one first
NETWORK_FLAGS = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def parser_errors(parser):
    """The parser's complaints, one by one."""
    for i in range(parser.num_errors):
        error = parser.get_error(i)
        yield f"{error.desc()} (node {error.node()})"


def parse_network(builder, onnx_path, logger):
    """The network in the ONNX file. Raises RuntimeError with the parser's first error."""
    file = str(onnx_path)
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(file):
        return network
    complaints = list(parser_errors(parser)) or ["no error was recorded"]
    raise RuntimeError("\n".join([f"TensorRT's parser rejected {file}:", *complaints]))
