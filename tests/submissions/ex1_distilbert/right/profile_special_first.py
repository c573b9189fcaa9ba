# check: ex1/profile
# expect: full
# why: the special profile for the usual shape comes first, so the index returned is not 0
def add_profile(builder, config, network, smallest, usual, largest):
    wanted = [(usual, usual, usual), (smallest, usual, largest)]
    indices = []
    for shapes in wanted:
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            profile.set_shape(network.get_input(i).name, *shapes)
        indices.append(config.add_optimization_profile(profile))
    if min(indices) < 0:
        raise ValueError(f"TensorRT refused one of {wanted}")
    return indices[-1]
