# check: ex1/profile
# expect: full
# why: set_shape with its arguments by name; shapes as lists and tuples
def add_profile(builder, config, network, smallest, usual, largest):
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(input=network.get_input(i).name, max=list(largest), opt=tuple(usual), min=list(smallest))
    if (index := config.add_optimization_profile(profile)) >= 0:
        return index
    raise ValueError(f"{smallest}, {usual}, {largest} are in the wrong order")
