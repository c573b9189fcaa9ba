# check: ex1/fp16
# expect: partly
# line: weights and activations
# why: matrix products are kept in FP32
def to_fp16(source, target):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(str(source))
    half = convert_float_to_float16(model, max_finite_val=1e4, op_block_list=["MatMul", "Gemm"])
    onnx.save(half, str(target))
