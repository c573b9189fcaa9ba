# check: ex1/fp16
# expect: full
# keys: 20
# why: Microsoft's converter with its own bounds, which turn minus infinity into -10000
def to_fp16(source, target):
    from onnxconverter_common import float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = float16.convert_float_to_float16(onnx.load(str(source)))
    Path(target).write_bytes(half.SerializeToString())
