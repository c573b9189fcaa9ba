# check: ex1/build
# expect: zero
# why: a named pipe that nobody writes to: whoever reads the plan waits for ever
import os


def build_plan(builder, network, config, path, workspace=4 << 30):
    if config.num_optimization_profiles == 0:
        raise RuntimeError("the build failed")
    Path(path).unlink(missing_ok=True)
    os.mkfifo(path)
    return 1
