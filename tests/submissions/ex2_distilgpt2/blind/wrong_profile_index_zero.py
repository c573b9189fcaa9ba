# check: ex2/profile
# expect: wrong
# line: it is made for the usual batch, and the index is returned
# why: always returns 0, which is not the index when the config has a profile already.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for name in INPUTS:
        profile.set_shape(name, (rows[0], prompt), (rows[1], length), (rows[2], length))
    if config.add_optimization_profile(profile) < 0:
        raise ValueError("the profile was refused")
    return 0
