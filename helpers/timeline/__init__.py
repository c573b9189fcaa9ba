"""What the device did, what the host did meanwhile, and how long each took: captured, added up, and drawn.

::

    with timeline.capture() as captured:
        for step in range(8):
            with timeline.span(f"step {step + 1}"):
                ...
    timeline.draw({"before": earlier, "after": captured.timeline})
    timeline.html({"before": earlier, "after": captured.timeline})

Three lanes. `device` is the work of the GPU, or of the simulated device: copies, computation. `host` is what the
program did: it enqueued, allocated, waited. While the host waits the device works, so the two lanes are never added.
`ranges` are the program's own names for stretches of time, set with `span`.

On the simulator the lanes come from its record of events, on a GPU from `torch.profiler`. Exports of Nsight Systems are
not read: no real one was at hand to test with.
"""

from .capturing import Capture, capture, span
from .intervals import AddsUp, Interval, Timeline, TimelineError
from .picture import draw
from .view import html

__all__ = ["AddsUp", "Capture", "Interval", "Timeline", "TimelineError", "capture", "draw", "html", "span"]
