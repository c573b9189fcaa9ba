# check: ex1/build
# expect: zero
# why: a named pipe that nobody writes to: whoever reads the plan waits for ever
import os


def build_plan(builder, network, config, path, workspace=4 << 30):
    if Path(path).exists():
        raise RuntimeError("the old plan stays")
    os.mkfifo(path)
    return 1
