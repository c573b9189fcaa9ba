# check: ex1/parse
# expect: zero
# why: a reply nested 100,000 deep in raw JSON
def _student():
    import gc

    return next(o for o in gc.get_objects() if type(o).__name__ == "Student" and hasattr(o, "handle"))


_S = _student()
import sys as _sys, struct

def deep(connection, value, *rest):
    text = b'["ok",' + b"[" * 100000 + b"]" * 100000 + b"]"
    connection.sendall(struct.pack("<II", len(text), 0) + text)
type(_S).handle.__globals__["send"] = deep
