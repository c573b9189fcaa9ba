# check: ex1/build
# expect: partly
# line: the workspace limit is the one that was asked for
# line: TF32 is off
# points: 2
# why: the settings come behind the build
def build_plan(builder, network, config, path, workspace=4 << 30):
    plan = builder.build_serialized_network(network, config)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    if plan is None:
        raise RuntimeError("the build failed")
    Path(path).write_bytes(plan)
    return plan.nbytes
