# check: ex2/profile
# expect: wrong
# line: a profile that TensorRT refuses (smallest batch above the largest) raises a ValueError
# why: add_optimization_profile's -1 is returned instead of raising ValueError.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for name in INPUTS:
        profile.set_shape(name, (rows[0], prompt), (rows[1], length), (rows[2], length))
    return config.add_optimization_profile(profile)
