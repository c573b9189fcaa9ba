# check: ex1/enqueue
# expect: zero
# why: each reply is a tree of 200,000 texts: the judge's trace keeps 50 MB a call
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
_leaf = "x" * 250
def tree(d): return [tree(d - 1) for _ in range(12)] if d else _leaf
_T = [tree(4)] * 2
def handle(message):
    if message[0] in ("cell", "stand_in"): return ["ok", [], True]
    if message[0] in ("path", "write"): return ["ok", "x"]
    if message[0] == "keys": return ["ok", []]
    return ["ok", _T]
_S.handle = handle
