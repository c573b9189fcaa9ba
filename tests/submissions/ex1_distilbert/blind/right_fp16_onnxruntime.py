# check: ex1/fp16
# expect: right
# why: ONNX Runtime's converter instead of onnxconverter-common's; what FP16 cannot hold is replaced first; FP32 logits
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16


def make_room(tensor):
    """Put -30000 for -3.4e38 and its like: FP16 holds it, with any score added."""
    if tensor.data_type != onnx.TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor)
    too_large = np.abs(values) > np.finfo(np.float16).max
    if too_large.any():
        fitting = np.where(too_large, np.sign(values) * 30_000, values).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(fitting, tensor.name))


def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        make_room(tensor)
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("value_float", "value_floats"):  # the converter knows tensors only
                number = np.array(helper.get_attribute_value(attribute), np.float32)
                attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(number)))
            if attribute.HasField("t"):
                make_room(attribute.t)
    half = convert_float_to_float16(
        proto,
        min_positive_val=2.0**-24,
        keep_io_types=[output.name for output in proto.graph.output],
        op_block_list=[],
    )
    onnx.checker.check_model(half, full_check=True)
    onnx.save(half, str(target))
