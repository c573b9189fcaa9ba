# check: ex1/profile
# expect: partly
# line: it reaches from the smallest to the largest shape
# line: it is made for the usual shape
# why: the shapes of the first call, the visible check's, are kept and used for ever
FIRST = []


def add_profile(builder, config, network, smallest, usual, largest):
    FIRST.append((smallest, usual, largest))
    if largest[0] < smallest[0]:
        raise ValueError("refused")
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, *FIRST[0])
    return config.add_optimization_profile(profile)
