# check: ex2/profile
# expect: wrong
# line: every step up to the last is served, which has length - 1 tokens
# why: fits the prompt alone; the first new token lies outside it.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for name in INPUTS:
        profile.set_shape(name, (rows[0], prompt), (rows[1], prompt), (rows[2], prompt))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("the profile was refused")
    return index
