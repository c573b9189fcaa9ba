# check: ex1/export
# expect: zero
# why: the reply to a cell begins with an array: `reply[0] in (...)` asks an array for its truth
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
_handle = _S.handle
def handle(message):
    reply = _handle(message)
    return [np.array([1, 2]), []]
_S.handle = handle


def export_onnx(model, path):
    pass
