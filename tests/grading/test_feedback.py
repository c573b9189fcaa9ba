"""Feedback pages: what they say, and that nothing in them is live, whoever wrote it."""

from __future__ import annotations

import base64
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from helpers.grading import collect, course, feedback, sanitize
from helpers.grading.judge import Graded

from .classroom import ASSIGNMENT, graded, new_course, release, submission

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><circle/></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='  java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=evil.swf></object><embed src=x><applet></applet>",
    "<form action=//evil.example><input name=a autofocus onfocus=alert(1)></form>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/><link rel=stylesheet href=//evil.example/x.css>",
    "<style>body{background:url(//evil.example)}</style>",
    "<div style='position:fixed;background:url(//evil.example)'>over</div>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#x6a;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    '![x](x" onerror="alert(1))',
    "![x](attachment:evil.svg)",
    '<https://x"onmouseover=alert(1)>',
    "[x]: javascript:alert(1)\n[x]",
    "`<script>alert(1)</script>`\n\n```html\n<script>alert(1)</script>\n```",
    "$$\\href{javascript:alert(1)}{x}$$",
    "<!-- --><script>alert(1)</script> --><?php ?><![CDATA[<script>alert(1)</script>]]>",
    "</div></div></body></html><script>alert(1)</script>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
]


class Live(HTMLParser):
    """Everything in a page that could run or load something."""

    TAGS = frozenset(
        (
            "script",
            "svg",
            "iframe",
            "object",
            "embed",
            "applet",
            "form",
            "input",
            "button",
            "base",
            "link",
            "math",
            "template",
            "video",
            "audio",
        )
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            text = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            if name.startswith("on") or name in ("srcdoc", "formaction", "background"):
                self.found.append(f"<{tag} {name}>")
            if name in ("href", "src", "action", "xlink:href"):
                picture = tag == "img" and text.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
                if (
                    not picture
                    and re.match(r"[a-z]+:", text)
                    and not text.startswith(("https:", "http:", "mailto:", "attachment:"))
                ):
                    self.found.append(f"<{tag} {name}={value!r}>")
            if name == "style" and "url(" in text:
                self.found.append(f"<{tag} style={value!r}>")
            if tag == "meta" and name == "http-equiv" and text != "content-security-policy":
                self.found.append(f"<meta {value}>")
            if tag == "img" and name == "src" and not text.startswith("data:image/"):
                self.found.append(f"<img src={value!r}>")


def live(page: str) -> list[str]:
    parser = Live()
    parser.feed(page)
    parser.close()
    return parser.found


def hostile_notebook() -> Any:
    """A submission with everything that has ever run in somebody's browser, where a student can put it."""
    notebook = submission()
    cells = {cell.id: cell for cell in notebook.cells}
    cells["answer-1"].source = "\n\n".join(HOSTILE)
    cells["answer-2"].source = "</script>" + "".join(HOSTILE)
    cells["answer-3"]["attachments"] = {"evil.svg": {"image/svg+xml": "<svg onload=alert(1)/>"}}
    cells["answer-3"].source = "![x](attachment:evil.svg)"
    cells["todo-parse"].source = "# " + "\n# ".join("".join(HOSTILE).splitlines()) + "\n'''</pre>" + HOSTILE[0] + "'''"
    import nbformat

    notebook.cells.insert(3, nbformat.v4.new_raw_cell(HOSTILE[0], metadata={"raw_mimetype": "text/html"}))
    notebook.cells.insert(4, nbformat.v4.new_markdown_cell("\n\n".join(HOSTILE)))
    notebook.cells.insert(
        5, nbformat.v4.new_code_cell("1", metadata={"magics_language": "<script>", "tags": HOSTILE[:3]})
    )
    notebook.metadata["title"] = HOSTILE[0]
    notebook.metadata["kernelspec"] = {"name": "x", "display_name": HOSTILE[0], "language": HOSTILE[0]}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"x": HOSTILE[0]}}}
    return notebook


def hostile_verdict() -> Graded:
    verdict = graded(hostile_notebook(), 0.5)
    everything = "\n".join(HOSTILE)
    kinds = (
        *("text/html", "text/markdown", "text/latex", "image/svg+xml", "application/javascript", "text/plain"),
        *("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "image/png", "text/x<script>"),
    )
    own = [cell for cell in verdict.notebook["cells"] if cell["cell_type"] == "code"]
    for cell in own:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            continue
        cell["outputs"] = [
            {
                "output_type": "stream",
                "name": "stdout",
                "text": everything + "\x1b[31m<b>red</b>\x1b]8;;javascript:x\x07",
            },
            {"output_type": "stream", "name": HOSTILE[0], "text": ["a", "b"]},
            {"output_type": "error", "ename": HOSTILE[0], "evalue": HOSTILE[2], "traceback": [everything]},
            *(
                {"output_type": "display_data", "data": {kind: everything}, "metadata": {kind: {"alt": '"><script>'}}}
                for kind in kinds
            ),
            {
                "output_type": "display_data",
                "data": {"image/png": PNG},
                "metadata": {"image/png": {"width": '"><script>'}},
            },
            {"output_type": HOSTILE[0], "data": HOSTILE},
        ]
    verdict.mended = [HOSTILE[0]]
    for cell in verdict.cells.values():
        cell.lines = [["✗", HOSTILE[0], HOSTILE[2], HOSTILE[3]]]
    return verdict


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> course.Course:
    room = new_course(tmp_path_factory.mktemp("class"))
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.record(collect.Submission("hostile", Path("x")), hostile_verdict(), {})
        book.record(collect.Submission("good", Path("x")), graded(submission()), {})
        book.record(collect.Submission("failed", Path("x")), Graded("failed to grade", f"odd {HOSTILE[0]}"), {})
        mended = graded(submission(), 0.5)
        mended.mended = ["the cell check-build was changed; the release's was used"]
        book.record(collect.Submission("mended", Path("x")), mended, {})
    return room


@pytest.fixture(scope="module")
def pages(room: course.Course) -> dict[str, str]:
    return {path.parent.parent.name: path.read_text("utf-8") for path in feedback.write(ASSIGNMENT, room)}


def test_the_test_finds_what_is_live() -> None:
    for text in (
        "<script>",
        "<a href=javascript:x>",
        "<p onclick=x>",
        "<img src=//x>",
        "<p style='background:url(x)'>",
    ):
        assert live(text), text


def test_no_page_has_anything_live(pages: dict[str, str]) -> None:
    assert set(pages) == {"hostile", "good", "failed", "mended"}
    for student, page in pages.items():
        assert live(page) == [], student
        assert "Content-Security-Policy" in page and "default-src 'none'" in page
    assert "alert(1)" in pages["hostile"]  # as text it may stand there


def test_a_text_without_end_is_cut_and_takes_no_time_without_end() -> None:
    """120,000 times "&a" once took minutes: each "&" was followed to the end of its word."""
    cell = nbformat.v4.new_markdown_cell("&a" * 120_000)
    shown = sanitize.notebook(nbformat.v4.new_notebook(cells=[cell]), release()).cells[0].source
    assert "more characters are left out" in shown and len(shown) < 2 * sanitize.LARGEST_SOURCE


def test_stock_nbgraders_pages_of_the_same_notebooks_are_harmless_too(room: course.Course) -> None:
    """formgrader renders autograded/ with nbgrader's own templates, in the instructor's session."""
    import nbformat
    import nbgrader
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.HTMLExporter.template_name = "feedback"
    theirs = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    config.HTMLExporter.extra_template_basedirs = [str(theirs)]
    styles = theirs.parent / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    config.HTMLExporter.extra_template_paths = [str(styles)]
    pages = []
    for notebook in (nbformat.read(room.autograded("hostile", ASSIGNMENT), as_version=4), release()):
        resources = {"nbgrader": {"notebook": "x", "score": 0, "max_score": 0, "late_penalty": 0}}
        for cell in notebook.cells:
            if "nbgrader" in cell.metadata:
                cell.metadata.nbgrader.update(score=0, points=0)
        pages.append(live(HTMLExporter(config=config).from_notebook_node(notebook, resources=resources)[0]))
    hostile, own = pages
    assert sorted(hostile) == sorted(own)  # MathJax and the like: the template's own, and nothing more


def test_a_page_says_what_counts(pages: dict[str, str], room: course.Course) -> None:
    assert "<b>graded</b>: 32 of 52 points" in pages["good"]
    assert "<b>graded</b>: 16 of 52 points" in pages["mended"]
    assert "What the grader mended" in pages["mended"] and "check-build was changed" in pages["mended"]
    assert "the first thing holds" in pages["mended"] and "hint: look at it" in pages["mended"]
    assert "awaiting manual grading" in pages["hostile"]
    assert "failed to grade" in pages["failed"] and "of 52 points" not in pages["failed"]
    ran = "Every check was also run on inputs that are not shown"
    assert [student for student in sorted(pages) if ran not in pages[student]] == ["failed"]


def test_all_pages_are_in_one_zip(
    pages: dict[str, str], room: course.Course, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(room.root / "feedback" / f"{ASSIGNMENT}.zip") as zipped:
        assert sorted(zipped.namelist()) == sorted(f"{ASSIGNMENT}/{student}.html" for student in pages)
    assert feedback.main(ASSIGNMENT, room) == 0
    assert "4 pages" in capsys.readouterr().out


def test_without_a_graded_class_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room = new_course(tmp_path)
    assert feedback.main(ASSIGNMENT, room) == 1
    assert "first: make autograde" in capsys.readouterr().err
    with course.Book(room, ASSIGNMENT, release(), prepare=True):
        pass
    assert feedback.main(ASSIGNMENT, room) == 1
    assert "nobody's" in capsys.readouterr().err


@pytest.mark.parametrize("text", HOSTILE)
def test_html_and_markdown_one_by_one(text: str) -> None:
    from nbconvert.filters import markdown2html

    assert live(sanitize.html(text)) == []
    if "attachment:" not in text:  # nbconvert itself stops there
        assert live(sanitize.html(markdown2html(text))) == []
    assert live(markdown2html(sanitize.text(text))) == [], markdown2html(sanitize.text(text))


def test_harmless_text_stays_as_it_is() -> None:
    for text in ("a < b, 3 <= 4", "**bold** `x<y>0`", "R&D &amp; more", "[link](https://example.org) at 10:30"):
        assert sanitize.text(text).replace("\u200b", "") == text
    table = '<table><tbody><tr><td colspan="2">1</td></tr></tbody></table>'
    assert sanitize.html(table) == table


def test_outputs_are_capped() -> None:
    many = [{"output_type": "stream", "name": "stdout", "text": "x" * 30_000}] * 100
    kept = sanitize.outputs(many)
    assert len(kept) == sanitize.MOST_OUTPUTS + 1 and "40 more outputs" in kept[-1].text
    assert len(kept[0].text) < 21_000 and "10,000 more characters" in kept[0].text
    assert sanitize.outputs("nonsense") == []
