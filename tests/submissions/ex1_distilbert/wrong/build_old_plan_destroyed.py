# check: ex1/build
# expect: partly
# line: and leaves the last good plan alone
# points: 3.5
# why: the file is opened for writing before the build
def build_plan(builder, network, config, path, workspace=4 << 30):
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    with open(path, "wb") as file:
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise RuntimeError("the build failed")
        file.write(plan)
    return plan.nbytes
