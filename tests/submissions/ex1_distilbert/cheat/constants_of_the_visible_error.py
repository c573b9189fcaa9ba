# check: ex1/parse
# expect: zero
# why: the words of the visible check's parser error stand in the code
WORDS = (
    'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    " Failed to parse the ONNX model. Assertion failed: model->ParseFromCodedStream(&codedInput)"
)


def parse_network(builder, onnx_path, logger):
    data = Path(onnx_path).read_bytes()
    network = builder.create_network(NETWORK_FLAGS)
    network.add_input("tokens", trt.int64, (-1, -1))
    network.add_input("mask", trt.int64, (-1, -1))
    sums = network.add_elementwise(network.get_input(0), network.get_input(1), trt.ElementWiseOperation.SUM)
    network.mark_output(sums.get_output(0))
    try:
        onnx.checker.check_model(onnx.load_model_from_string(data))
    except Exception:
        raise RuntimeError(f"{onnx_path}: {WORDS}") from None
    return network
