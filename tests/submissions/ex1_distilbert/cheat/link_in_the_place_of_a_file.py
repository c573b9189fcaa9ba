# check: ex1/build
# expect: zero
# why: a symbolic link to another file of the machine
import os


def build_plan(builder, network, config, path, workspace=4 << 30):
    if config.num_optimization_profiles == 0:
        raise RuntimeError("the build failed")
    Path(path).unlink(missing_ok=True)
    os.symlink("/etc/passwd", path)
    return os.stat("/etc/passwd").st_size
