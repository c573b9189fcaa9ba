# check: ex1/build
# expect: partly
# line: TF32 is off
# points: 3
# keys: 20
# whole: yes
# why: TF32 stays on
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError(f"the build of {path} failed; the first error in the log says why")
    Path(path).write_bytes(plan)
    return plan.nbytes
