# check: ex1/parse
# expect: full
# whole: yes
# why: the parser opens the file itself
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(onnx_path)):
        return network
    raise RuntimeError("TensorRT cannot read " + str(onnx_path) + ": " + parser.get_error(0).desc())
