# check: ex1/fp16
# expect: partly
# line: weights and activations are FP16
# points: 0.5
# why: only the operands of matrix products are rounded to FP16, weights are FP16 and cast up again: all other activations stay FP32, and no constant is clipped
def to_fp16(source, target):
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    nodes, number = [], iter(range(10**6))

    def cast(name, to):
        new = f"cast_{next(number)}"
        nodes.append(helper.make_node("Cast", [name], [new], to=to))
        return new

    halves = {}
    for t in list(graph.initializer):
        array = numpy_helper.to_array(t)
        if array.dtype == np.float32 and array.size > 8:
            graph.initializer.remove(t)
            graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), t.name + "_half"))
            nodes.append(helper.make_node("Cast", [t.name + "_half"], [t.name], to=TensorProto.FLOAT))
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            ins, out = [cast(n, TensorProto.FLOAT16) for n in node.input], node.output[0]
            node.input[:] = ins
            node.output[0] = out + "_half"
            nodes.append(node)
            nodes.append(helper.make_node("Cast", [out + "_half"], [out], to=TensorProto.FLOAT))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, str(target))
