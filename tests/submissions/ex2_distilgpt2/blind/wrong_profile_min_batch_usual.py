# check: ex2/profile
# expect: wrong
# line: every batch from the smallest to the largest is served
# why: the smallest shape takes rows[1], so batches smaller than the usual one are not covered.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for name in INPUTS:
        profile.set_shape(name, (rows[1], prompt), (rows[1], length), (rows[2], length))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("the profile was refused")
    return index
