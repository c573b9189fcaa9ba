# check: ex1/build
# expect: partly
# line: a build that fails raises a
# points: 3.5
# why: 0 is returned in the place of an error
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return 0
    Path(path).write_bytes(plan)
    return plan.nbytes
