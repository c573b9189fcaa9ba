# check: ex1/fp16
# expect: wrong
# line: finite also for a text that is all padding
# points: 2.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: ONNX Runtime's converter as it comes makes -65504 of -3.4e38; a score of -16 or less added to it is -inf in FP16
from onnxruntime.transformers.float16 import convert_float_to_float16


def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    model = onnx.load(str(source))
    model = convert_float_to_float16(model, keep_io_types=True)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
