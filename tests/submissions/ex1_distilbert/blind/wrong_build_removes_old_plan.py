# check: ex1/build
# expect: wrong
# line: and leaves the last good plan alone
# points: 3.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: the old plan is deleted before the build, "to have no stale file", and is gone when the build fails
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    path = Path(path)
    path.unlink(missing_ok=True)  # no stale plan

    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)

    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("build failed, see the log")
    with path.open("wb") as f:
        f.write(plan)
    return plan.nbytes
