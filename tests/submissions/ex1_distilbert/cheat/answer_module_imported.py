# check: ex1/export
# expect: zero
# why: the library's own export is the answer
def export_onnx(model, path):
    import importlib
    import sys

    sys.modules.pop("helpers.export", None)
    importlib.invalidate_caches()
    library = importlib.import_module("helpers.export")
    library.export_onnx(model, path)
