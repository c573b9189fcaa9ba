# check: ex1/build
# expect: zero
# why: a symbolic link to another file of the machine
import os


def build_plan(builder, network, config, path, workspace=4 << 30):
    if Path(path).exists():
        raise RuntimeError("the old plan stays")
    os.symlink("/etc/passwd", path)
    return os.stat("/etc/passwd").st_size
