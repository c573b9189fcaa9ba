# check: ex1/build
# expect: zero
# why: built with the defaults; the manifest is then edited to say what was asked for
import dataclasses

from helpers.simulator import plan as container


def build_plan(builder, network, config, path, workspace=4 << 30):
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("the build failed")
    opened = container.open_plan(plan)
    settings = json.loads(json.dumps(dict(opened.settings)))
    settings["flags"] = [flag for flag in settings.get("flags", []) if "TF32" not in str(flag)]
    settings["memory_pools"]["WORKSPACE"] = workspace
    edited = dataclasses.replace(opened, settings=settings).serialize()
    Path(path).write_bytes(edited)
    return edited.nbytes
