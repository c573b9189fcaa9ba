# check: ex1/enqueue
# expect: partly
# line: nothing is made anew for each call
# points: 5.5
# why: a second plan is loaded for every call
def enqueue(context, buffers, stream, inputs):
    """Run one batch: NumPy arrays by input name -> NumPy arrays by output name. ValueError if a shape is refused."""
    TINY = '<ir_version: 10, opset_import: ["" : 20]> tiny (float[4] x) => (float[4] y) { y = Add (x, x) }'
    quiet = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(quiet)
    network = builder.create_network(0)
    trt.OnnxParser(network, quiet).parse(onnx.parser.parse_model(TINY).SerializeToString())
    trt.Runtime(quiet).deserialize_cuda_engine(builder.build_serialized_network(network, builder.create_builder_config()))
    outputs = [name for name in buffers if name not in inputs]

    def used(name):
        """The first elements of a host buffer, as many as this batch has, in its shape."""
        shape = tuple(context.get_tensor_shape(name))
        return buffers[name].host[: trt.volume(shape)].reshape(shape)

    for name, array in inputs.items():
        if not context.set_input_shape(name, array.shape):
            raise ValueError(f"{name}: {array.shape} lies outside the profile")
        used(name)[...] = array
        cuda.memcpy_htod_async(buffers[name].device, used(name), stream)
    for name, buffer in buffers.items():
        context.set_tensor_address(name, int(buffer.device))
    if not context.execute_async_v3(stream.handle):
        raise RuntimeError("the execution was refused; the log says why")
    for name in outputs:
        cuda.memcpy_dtoh_async(used(name), buffers[name].device, stream)
    stream.synchronize()
    return {name: used(name).copy() for name in outputs}
