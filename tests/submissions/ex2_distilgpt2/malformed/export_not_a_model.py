# check: ex2/export
# expect: zero
# why: writes text
def export_decoder(model, path, last_step=False):
    open(path, 'w').write('ONNX')
