"""`python -m helpers walkthrough`: run the solved notebooks and write each as one self-contained HTML page.

A notebook is a text file in `solutions/<assignment>/` (Jupytext, py:percent). It runs in a kernel of this Python with
its own folder as working directory; the page goes to `build/walkthrough/`. The page needs no network, and no scripts
but those that an output brings along (`timeline.html`): plots are embedded, formulas are MathML, and the alternative
text that an output carries in its metadata (`alt` of `image/png`) becomes the `alt` of its `<img>`.
"""

from __future__ import annotations

import contextlib
import datetime
import html
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.files import replacing

ROOT = Path(__file__).resolve().parent.parent
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Result:
    """One notebook that was run. `failure` names the cell that stopped it and the error, or is None."""

    page: Path
    cells: int
    errors: int
    images: int
    without_alt: int
    seconds: float
    failure: str | None

    def __str__(self) -> str:
        text = f"{self.page}: {self.cells} cells, {self.errors} errors, {self.images} images"
        if self.without_alt:
            text += f" ({self.without_alt} of them without alternative text)"
        return f"{text}, {self.seconds:.0f} s"


def main(assignments: Sequence[str] = (), root: Path = ROOT) -> int:
    """Run `assignments` (all of them when empty) and write their pages. 0 when no cell failed, else 1."""
    try:
        sources = find(root / "solutions", assignments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = []
    for source in sources:
        results.append(run(source, root / "build" / "walkthrough" / f"{page_name(source)}.html"))
        print(results[-1])
        if results[-1].failure:
            print(f"✗ {source}: {results[-1].failure}", file=sys.stderr)
    return 1 if any(result.failure for result in results) else 0


def find(solutions: Path, assignments: Sequence[str] = ()) -> list[Path]:
    """The notebooks of `assignments`, all when empty, in the order of their names.

    Raises ValueError for an assignment that is not there, with the names that are.
    """
    sources = [path for path in sorted(solutions.glob("*/*.py")) if _is_notebook(path)]
    names = {path.parent.name for path in sources}
    unknown = [name for name in assignments if name.strip("/").removeprefix("solutions/") not in names]
    if unknown or not sources:
        there = ", ".join(sorted(names)) or "none"
        raise ValueError(
            f"there is no notebook for {', '.join(unknown) or 'any assignment'} in {solutions}; there: {there}"
        )
    wanted = {name.strip("/").removeprefix("solutions/") for name in assignments} or names
    return [path for path in sources if path.parent.name in wanted]


def _is_notebook(path: Path) -> bool:
    # A helper module beside a notebook has no cells.
    return re.search(r"^# %%", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def page_name(source: Path) -> str:
    """`solutions/a/a.py` becomes `a`, any other notebook of the folder `a-<name>`."""
    folder = source.parent.name
    return folder if source.stem == folder else f"{folder}-{source.stem}"


def write_notebooks(solutions: Path) -> list[Path]:
    """Write the .ipynb form of each notebook whose text is newer, for JupyterLab. Returns what was written.

    A form that is replaced may hold somebody's work: it stays beside the new one as `<name>.old.ipynb`.
    """
    import jupytext

    written = []
    for source in find(solutions):
        form = source.with_suffix(".ipynb")
        if form.exists():
            if form.stat().st_mtime >= source.stat().st_mtime:
                continue
            form.replace(form.with_suffix(".old.ipynb"))
        with replacing(form) as part:
            part.write_text(jupytext.writes(jupytext.read(source), fmt="ipynb"), encoding="utf-8")
        written.append(form)
    return written


def run(source: Path, page: Path, *, progress: bool = True) -> Result:
    """Run the notebook `source` and write `page`, also when a cell fails; an older page is replaced in one step."""
    import jupytext

    started = time.monotonic()
    notebook = jupytext.read(source)
    failure = _execute(notebook, source.parent, progress)
    seconds = time.monotonic() - started
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if _picture(output)]
    result = Result(
        page=page,
        cells=sum(cell.cell_type == "code" for cell in notebook.cells),
        errors=sum(output.output_type == "error" for output in outputs),
        images=len(pictures),
        without_alt=sum(not output.metadata.get(_picture(output), {}).get("alt") for output in pictures),
        seconds=seconds,
        failure=failure,
    )
    with replacing(page) as part:
        part.write_text(render(notebook, source, result), encoding="utf-8")
    return result


def _picture(output: Any) -> str | None:
    """The image type that the page shows of `output`, or None."""
    types = ("image/svg+xml", "image/png", "image/jpeg")
    return next((kind for kind in types if kind in output.get("data", {})), None)


# --- running ---


def _execute(notebook: Any, folder: Path, progress: bool) -> str | None:
    """Run all cells in place. Returns what stopped it, or None."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from tqdm import tqdm

    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
    terminal = sys.stderr.isatty()
    bar = tqdm(
        total=len(code), unit="cell", desc=folder.name, disable=not progress, mininterval=0.5 if terminal else 15
    )
    at = 0

    def starts(cell: Any, cell_index: int) -> None:
        nonlocal at
        at = cell_index
        if cell.cell_type == "code":
            bar.set_postfix_str(_first_line(cell.source)[:48], refresh=terminal)

    def ends(cell: Any, cell_index: int, execute_reply: Any) -> None:
        bar.update()

    client = NotebookClient(
        notebook,
        kernel_manager_class=_kernel_manager(),
        kernel_name="python3",
        shutdown_kernel="immediate",
        timeout=None,
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,  # what a progress bar printed becomes its last line
        on_cell_start=starts,
        on_cell_executed=ends,
    )
    with bar, _with_project_on_path():
        try:
            client.execute()
        except Exception as error:  # the cell's own, a kernel that died, an output that no notebook can hold
            number = sum(cell.cell_type == "code" for cell in notebook.cells[: at + 1])
            name, text = type(error).__name__, str(error)
            if isinstance(error, CellExecutionError):
                name, text = error.ename, error.evalue
            what = f"{name}: {text}"
            return f"code cell {number} ({_first_line(notebook.cells[at].source)}): {what.strip()}"
    return None


def _first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("#", "%"))), lines[0] if lines else "")


def _kernel_manager() -> type:
    """Starts a kernel of `sys.executable`, whatever kernel specs the user has installed under the name python3."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            # Its log is quiet below errors: a kernel warns at every start that its local sockets are not encrypted.
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    return ThisPython


@contextlib.contextmanager
def _with_project_on_path() -> Iterator[None]:
    """Kernels find `helpers` also where the project is not installed; debugpy's notice about frozen modules is off."""
    names = ("PYTHONPATH", "PYDEVD_DISABLE_FILE_VALIDATION", "COURSE_PROGRESS")
    before = {name: os.environ.get(name) for name in names}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before["PYTHONPATH"]]))
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ["COURSE_PROGRESS"] = "off"  # what a page ran is nobody's progress
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- the page ---


def render(notebook: Any, source: Path, result: Result) -> str:
    """The HTML page of an executed notebook."""
    from pygments.formatters import HtmlFormatter

    number = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            number += 1
            cell.metadata["walkthrough"] = {"number": number, "time": _time_of(cell)}
    notebook.metadata.setdefault("language_info", {"name": "python", "pygments_lexer": "ipython3"})
    style = (_TEMPLATES / "walkthrough" / "style.css").read_text(encoding="utf-8")
    resources = {
        "metadata": {"name": page_name(source), "path": str(source.parent)},
        "walkthrough": {
            "title": _title(notebook) or page_name(source),
            "style": style + HtmlFormatter(style="friendly").get_style_defs(".highlight"),
            "failure": result.failure,
            "footer": (
                f"{source.parent.name}/{source.name}, run on {datetime.date.today():%Y-%m-%d} "
                f"with Python {sys.version.split()[0]} in {result.seconds:.0f} s"
            ),
        },
    }
    body, _ = _exporter().from_notebook_node(notebook, resources=resources)
    body = _scripts_once(body)
    contents = _contents(body)
    return body.replace("<!--toc-->", contents, 1).replace(
        "<body>", '<body class="with-toc">' if contents else "<body>", 1
    )


def _scripts_once(body: str) -> str:
    """The page with each large script at its first place only: views of one kind bring the same library along."""
    seen: set[str] = set()

    def kept(match: re.Match[str]) -> str:
        script = match.group()
        if len(script) < 50_000:
            return script
        again = script in seen
        seen.add(script)
        return "" if again else script

    return re.sub(r"<script>.*?</script>", kept, body, flags=re.DOTALL)


def _exporter() -> Any:
    from jinja2 import pass_context
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        """Formulas as MathML, which browsers draw without a script."""

        def inline_math(self, body: str) -> str:
            return _mathml(body, "inline")

        def block_math(self, body: str) -> str:
            return _mathml(body, "block")

        def latex_environment(self, name: str, body: str) -> str:
            return _mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context: Any, source: str) -> str:
            path = context.get("resources", {}).get("metadata", {}).get("path", "")
            attachments = context.get("cell", {}).get("attachments", {})
            renderer = Renderer(
                escape=False, attachments=attachments, embed_images=True, path=path, anchor_link_text="#"
            )
            return MarkdownWithMath(renderer=renderer).render(source)

    return Exporter(template_name="walkthrough", extra_template_basedirs=[str(_TEMPLATES)])


def _mathml(latex: str, display: str) -> str:
    from latex2mathml.converter import convert

    return convert(latex.strip(), display=display)


def _time_of(cell: Any) -> str:
    """How long a cell ran, when it is worth saying."""
    stamps = cell.metadata.get("execution", {})
    try:
        start, end = (
            datetime.datetime.fromisoformat(stamps[key]) for key in ("iopub.execute_input", "shell.execute_reply")
        )
    except (KeyError, ValueError):
        return ""
    seconds = (end - start).total_seconds()
    return f"{seconds:.1f} s" if seconds >= 0.1 else ""


def _title(notebook: Any) -> str | None:
    for cell in notebook.cells:
        found = re.search(r"^# (.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if found:
            return re.sub(r"[*`]", "", found.group(1)).strip()
    return None


def _contents(body: str) -> str:
    """A list of the headings of the second and third level, with links to them."""
    items = []
    for level, anchor, inner in re.findall(r'<h([23]) id="([^"]+)">(.*?)<a class="anchor-link"', body, re.DOTALL):
        text = html.escape(html.unescape(re.sub(r"<[^>]+>", "", inner)).strip(), quote=False)
        items.append(f'<li{" class=deeper" if level == "3" else ""}><a href="#{anchor}">{text}</a></li>')
    if not items:
        return ""
    return f'<nav class="toc" aria-label="Contents"><strong>Contents</strong><ol>{"".join(items)}</ol></nav>'
