# check: ex1/fp16
# expect: full
# why: ONNX Runtime's own converter, with bounds chosen so that the mask stays finite
def to_fp16(source, target):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(str(source))
    half = convert_float_to_float16(model, min_positive_val=1e-7, max_finite_val=1e4, keep_io_types=False)
    onnx.save_model(half, str(target))
