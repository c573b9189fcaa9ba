# check: ex1/build
# expect: full
# keys: 20
# whole: yes
# why: a temporary file beside the plan takes its place at the end; flags as bits
import os


def build_plan(builder, network, config, path, workspace=4 << 30):
    config.flags &= ~(1 << int(trt.BuilderFlag.TF32))
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    plan = builder.build_serialized_network(network, config)
    if not plan:
        raise RuntimeError("no plan")
    part = Path(path).with_suffix(".part")
    with open(part, "wb") as file:
        file.write(plan)
    os.replace(part, path)
    return plan.nbytes
