# check: ex1/build
# expect: partly
# line: a build that fails raises a RuntimeError
# line: and leaves the last good plan alone
# points: 3
# why: None is not looked for: writing it fails when the file is open already
def build_plan(builder, network, config, path, workspace=4 << 30):
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    with open(path, "wb") as file:
        file.write(plan)
    return plan.nbytes
