# check: ex1/fp16
# expect: wrong
# line: finite also for a text that is all padding
# points: 2.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: plain astype turns the -3.4e38 that hides padding into -inf, and a text of nothing but padding into NaN
from onnx import TensorProto, numpy_helper


def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    model = onnx.load(str(source))
    with np.errstate(over="ignore"):
        for init in model.graph.initializer:
            if init.data_type == TensorProto.FLOAT:
                array = numpy_helper.to_array(init).astype(np.float16)
                init.CopyFrom(numpy_helper.from_array(array, init.name))
    for node in model.graph.node:
        for attr in node.attribute:
            if node.op_type == "Cast" and attr.name == "to" and attr.i == TensorProto.FLOAT:
                attr.i = TensorProto.FLOAT16
            if node.op_type == "Constant" and attr.name == "value" and attr.t.data_type == TensorProto.FLOAT:
                attr.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attr.t).astype(np.float16)))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))
