# check: ex1/fp16
# expect: partly
# line: weights and activations
# points: 0.5
# why: FP32 under another name: the file is copied
import shutil


def to_fp16(source, target):
    shutil.copy(source, target)
