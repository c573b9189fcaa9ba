# check: ex1/build
# expect: partly
# line: and leaves the last good plan alone
# points: 3.5
# why: the old file is deleted first
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    Path(path).unlink(missing_ok=True)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError(f"the build of {path} failed; the first error in the log says why")
    Path(path).write_bytes(plan)
    return plan.nbytes
