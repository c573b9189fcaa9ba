# check: ex1/fp16
# expect: right
# why: a converter of one's own that goes through initializers, attributes, subgraphs and declared types
from onnx import AttributeProto, TensorProto, helper, numpy_helper

HIDDEN = 30_000.0  # for what FP16 cannot hold; with a score added it is still finite


def halved(values, name=""):
    """The same numbers as a tensor in FP16."""
    values = np.asarray(values, np.float32)
    values = np.where(np.abs(values) > 65_504, np.copysign(np.float32(HIDDEN), values), values)
    return numpy_helper.from_array(values.astype(np.float16), name)


def halve_tensor(tensor):
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(halved(numpy_helper.to_array(tensor), tensor.name))


def halve_types(values):
    for value in values:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16


def halve_node(node):
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            halve_graph(attribute.g)
        elif attribute.type == AttributeProto.TENSOR:
            halve_tensor(attribute.t)
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            attribute.CopyFrom(helper.make_attribute("value", halved(helper.get_attribute_value(attribute))))
        elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(helper.make_attribute("value", halved([0.0])))


def halve_graph(graph):
    for tensor in graph.initializer:
        halve_tensor(tensor)
    for node in graph.node:
        halve_node(node)
    halve_types(graph.input)
    halve_types(graph.output)
    del graph.value_info[:]  # said again by the shape inference below


def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    model = onnx.load(str(source))
    halve_graph(model.graph)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(target), save_as_external_data=False)
