# check: ex1/profile
# expect: zero
# line: every input of the network is in the profile
# why: the names of DistilBERT's inputs stand in the code
def add_profile(builder, config, network, smallest, usual, largest):
    profile = builder.create_optimization_profile()
    for name in ("input_ids", "attention_mask"):
        profile.set_shape(name, smallest, usual, largest)
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
