# check: ex1/parse
# expect: full
# why: all of the parser's errors, a line each, from a helper; the file by a memoryview
def complaints(parser):
    return [parser.get_error(i).desc() for i in range(parser.num_errors)]


def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    with open(onnx_path, "rb") as file:
        fine = parser.parse(file.read())
    problems = complaints(parser)
    if not fine or problems:
        raise RuntimeError("\n".join([f"{Path(onnx_path).resolve()}:", *problems]))
    return network
