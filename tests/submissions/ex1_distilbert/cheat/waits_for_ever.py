# check: ex1/parse
# expect: zero
# why: never returns, and ignores whoever asks it to
import signal

for _signal in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
    signal.signal(_signal, signal.SIG_IGN)

def parse_network(builder, onnx_path, logger):
    while True:
        time.sleep(60)
