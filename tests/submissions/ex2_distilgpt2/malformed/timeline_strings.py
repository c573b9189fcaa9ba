# check: ex2/timeline
# expect: zero
# why: figures as text
def read_timeline(events):
    return dict.fromkeys(['h2d_ms', 'compute_ms', 'd2h_ms', 'idle_ms', 'span_ms'], '1.0')
