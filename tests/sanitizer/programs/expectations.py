"""What a program of this folder says of itself, and how a report compares with that.

The first line is `# expect: kind, kind`: the findings that must come; `a|b` where either name is fair; nothing for a right
program. A line ends in `# <- kind` where a finding of that kind may have its place, and in `# <- other` where its other
place may be (the write, the free, the capture that it clashes with).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MARKER = re.compile(r"#\s*<-\s*([\w, -]+?)\s*$")


@dataclass(frozen=True)
class Found:
    """One finding of a report, as far as it is compared: lines are those of the program itself, 0 for none."""

    kind: str
    level: str
    line: int
    other: int = 0


@dataclass(frozen=True)
class Expectation:
    """`kinds`: one set of acceptable names for every planted fault. `lines`: where each kind may be named."""

    kinds: tuple[frozenset[str], ...]
    lines: dict[str, frozenset[int]]

    @classmethod
    def of(cls, program: Path) -> Expectation:
        """Read the markers of a program. Raises ValueError where they are not as they should be."""
        text = program.read_text(encoding="utf-8").splitlines()
        if not text or not text[0].startswith("# expect:"):
            raise ValueError(f"{program} has no '# expect:' in its first line")
        wanted = [part.strip() for part in text[0].partition(":")[2].split(",")]
        kinds = tuple(frozenset(part.split("|")) for part in wanted if part)
        lines: dict[str, set[int]] = {}
        for number, line in enumerate(text, 1):
            marker = _MARKER.search(line)
            for kind in marker[1].split(",") if marker else ():
                lines.setdefault(kind.strip(), set()).add(number)
        unmarked = [sorted(each) for each in kinds if not each & lines.keys()]
        stray = lines.keys() - {"other"} - frozenset[str]().union(*kinds)
        if unmarked or stray:
            raise ValueError(f"{program}: no line is marked for {unmarked}, or one for {sorted(stray)} unasked")
        return cls(kinds, {kind: frozenset(numbers) for kind, numbers in lines.items()})

    def disagreements(self, findings: Iterable[Found]) -> list[str]:
        """How a report differs: what it missed, what it named at another line, what else it accused. [] for none.

        A finding agrees where its kind was planted and its place or its other place is a line marked for that kind.
        Notes (findings of another level than "error") are never too many.
        """
        rest = list(findings)
        problems = []
        for names in self.kinds:
            alike = [each for each in rest if each.kind in names]
            right = [each for each in alike if {each.line, each.other} & self._marked(each.kind)]
            if not alike:
                problems.append(f"missed: {'|'.join(sorted(names))}")
            elif not right:
                wanted = sorted(set().union(*(self._marked(name) for name in names)))
                got = sorted({(each.line, each.other) for each in alike})
                problems.append(f"wrong line: {'|'.join(sorted(names))} at {got}, expected {wanted}")
            rest = [each for each in rest if each not in alike]
        problems += [f"false alarm: {each.kind} at {each.line}" for each in rest if each.level == "error"]
        return problems

    def _marked(self, kind: str) -> frozenset[int]:
        return self.lines.get(kind, frozenset())
