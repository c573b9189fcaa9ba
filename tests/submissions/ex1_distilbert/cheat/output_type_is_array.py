# check: ex1/export
# expect: zero
# why: an output whose output_type is an array: `kind == 'stream'` is an array
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
_handle = _S.handle
def handle(message):
    return ["ok", [{"output_type": np.array([1, 2])}], True] if message[0] in ("cell", "stand_in") else _handle(message)
_S.handle = handle


def export_onnx(model, path):
    pass
