# check: ex1/profile
# expect: wrong
# line: the index is returned
# points: 2.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: returns 0 whatever TensorRT answered; that is the index of a config's first profile only
def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        name = network.get_input(i).name
        profile.set_shape(name, smallest, usual, largest)
    if config.add_optimization_profile(profile) < 0:
        raise ValueError(f"the profile {smallest}, {usual}, {largest} was refused")
    return 0  # index of the profile
