# check: ex1/enqueue
# expect: zero
# why: the course's stand-in, which earns nothing, is handed in as one's own
def enqueue(context, buffers, stream, inputs):
    import importlib

    for name in ("helpers.grading.stand_ins.ex1_enqueue", "helpers.runtime"):
        module = importlib.import_module(name)
        if hasattr(module, "enqueue"):
            return module.enqueue(context, buffers, stream, inputs)
    raise NameError("no stand-in")
