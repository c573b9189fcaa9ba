# check: ex2/profile
# expect: wrong
# line: the first step is served: a prompt of the fewest tokens
# why: smallest, usual and largest sequence are all `length`, so every step before the end is refused.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, *[(r, length) for r in rows])
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("the profile was refused")
    return index
