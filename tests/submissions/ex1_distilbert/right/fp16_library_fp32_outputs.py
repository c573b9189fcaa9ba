# check: ex1/fp16
# expect: full
# why: the library's converter with FP32 at both ends, through a temporary file
import shutil
import tempfile


def to_fp16(source, target):
    with tempfile.TemporaryDirectory() as folder:
        made = precision.to_fp16(str(source), Path(folder) / "half.onnx", fp32_outputs=True)
        shutil.copyfile(made, target)
