# check: ex2/export
# expect: zero
# why: makes a folder in the place of the file
def export_decoder(model, path, last_step=False):
    path.mkdir()
