# check: ex1/build
# expect: right
# why: TF32 is cleared in the bit mask `config.flags`, and the plan goes to a temporary file that replaces the old one
import os
import tempfile


def write_whole(path, content):
    """Write a file so that `path` is the old file or the new one, never half of either."""
    target = Path(path)
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(part, target)
    except BaseException:
        os.unlink(part)
        raise


def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    config.set_memory_pool_limit(pool=trt.MemoryPoolType.WORKSPACE, pool_size=workspace)
    config.flags &= ~(1 << int(trt.BuilderFlag.TF32))
    if (plan := builder.build_serialized_network(network, config)) is not None:
        write_whole(path, plan)
        return plan.nbytes
    raise RuntimeError(f"TensorRT built nothing for {path}")
