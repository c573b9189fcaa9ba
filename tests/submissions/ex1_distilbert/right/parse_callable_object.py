# check: ex1/parse
# expect: full
# why: the answer is an object with __call__, and the error a subclass of RuntimeError
class ParseError(RuntimeError):
    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")


class Reader:
    def __init__(self, flags):
        self.flags = flags

    def __call__(self, builder, onnx_path, logger):
        network = builder.create_network(self.flags)
        parser = trt.OnnxParser(network, logger)
        parser.parse(Path(onnx_path).read_bytes())
        if parser.num_errors > 0:
            raise ParseError(onnx_path, parser.get_error(0).desc())
        return network


parse_network = Reader(NETWORK_FLAGS)
