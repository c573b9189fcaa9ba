# check: ex2/export
# expect: zero
# why: helpers.export holds the exporter
from helpers.export import export_decoder
