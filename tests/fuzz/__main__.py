"""`python -m tests.fuzz [KIND ...]`: the full counts, or some kinds of them."""

from __future__ import annotations

import sys

from . import campaign, messages, onnx_files, plans

CAMPAIGNS = {c.name: c for c in (plans.PLANS, messages.MESSAGES, onnx_files.NVIDIA)}


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--cases-of"]:
        name, first, last, descriptor = arguments[1:]
        campaign.serve_cases(CAMPAIGNS[name], int(first), int(last), int(descriptor))
        return 0
    import json
    for name in arguments[:1] or CAMPAIGNS:
        c = CAMPAIGNS[name]
        r = campaign.run(c, int(arguments[1]) if arguments[1:] else 0, int(arguments[2]) if arguments[2:] else c.cases, lambda n, r: None)
        print(name, json.dumps(r.plain(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
