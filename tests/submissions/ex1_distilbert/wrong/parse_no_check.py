# check: ex1/parse
# expect: partly
# line: a file that is cut off raises an error
# points: 1
# keys: 20
# why: parse's answer is not looked at
def parse_network(builder, onnx_path, logger):
    network = builder.create_network(NETWORK_FLAGS)
    trt.OnnxParser(network, logger).parse(Path(onnx_path).read_bytes())
    return network
