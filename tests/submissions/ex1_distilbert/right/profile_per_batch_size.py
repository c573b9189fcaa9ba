# check: ex1/profile
# expect: full
# whole: yes
# why: a second profile, made for the usual shape alone, stands behind the one asked for
def one_profile(builder, config, network, *shapes):
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, *shapes)
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError(f"refused: {shapes}")
    return index


def add_profile(builder, config, network, smallest, usual, largest):
    index = one_profile(builder, config, network, smallest, usual, largest)
    one_profile(builder, config, network, usual, usual, usual)
    return index
