# check: ex1/build
# expect: partly
# line: a build that fails raises a RuntimeError
# points: 3.5
# why: nothing is compared with None: write_bytes(None) happens to raise a TypeError before it opens the file
def build_plan(builder, network, config, path, workspace=4 << 30):
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    Path(path).write_bytes(plan)
    return plan.nbytes
