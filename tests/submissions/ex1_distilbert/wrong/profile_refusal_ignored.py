# check: ex1/profile
# expect: partly
# line: the index is returned, and a profile that TensorRT refuses
# line: a profile is added
# points: 2.5
# why: -1 is returned to a caller who does not look
def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, smallest, usual, largest)
    index = config.add_optimization_profile(profile)
    return index
