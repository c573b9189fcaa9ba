# check: ex1/profile
# expect: full
# keys: 20
# why: a profile from batch 1 on, wider than what was asked for; tensors gathered first
def add_profile(builder, config, network, smallest, usual, largest):
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        # a last batch may have a single row
        profile.set_shape(tensor.name, (1, *smallest[1:]), usual, largest)
    index = config.add_optimization_profile(profile)
    if index == -1:
        raise ValueError("TensorRT refused this profile")
    return index
