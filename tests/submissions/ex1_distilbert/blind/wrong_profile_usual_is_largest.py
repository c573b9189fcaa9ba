# check: ex1/profile
# expect: wrong
# line: it is made for the usual shape
# points: 2.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: `largest` stands in the place of `usual` as well: everything runs, but kernels are chosen for the largest shape
def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    for tensor in inputs:
        profile.set_shape(tensor.name, min=smallest, opt=largest, max=largest)
    idx = config.add_optimization_profile(profile)
    if idx == -1:
        raise ValueError("optimization profile was refused")
    return idx
