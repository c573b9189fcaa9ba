"""Pages made from small notebooks that really run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bs4
import pytest

from helpers import walkthrough

HEADER = '# ---\n# jupyter:\n#   jupytext:\n#     cell_markers: \'"""\'\n# ---\n\n'

GOOD = (
    HEADER
    + '''# %% [markdown]
"""
# A *small* page

![two pixels](two.png)

## Step 1: first & foremost

A [link](https://example.org/) is left as it is.
"""

# %% tags=["setup"]
import sys
import time
import helpers
from tqdm import tqdm

for _ in tqdm(range(3), desc="steps"):
    time.sleep(0.06)
print("runs in", sys.executable)

# %% [markdown]
"""
### Plots
"""

# %%
import matplotlib.pyplot as plt
from IPython.core.pylabtools import print_figure
from IPython.display import display

figure = plt.figure(figsize=(4, 3), facecolor=(1, 0, 1))
figure.add_axes((0, 0, 0.1, 0.1)).set_axis_off()
plt.close(figure)
data = {"image/png": print_figure(figure, "png", bbox_inches=None), "text/plain": "a plot"}
display(data, raw=True, metadata={"image/png": {"alt": 'All of it is "magenta" & <flat>'}})

# %%
plt.figure(figsize=(1, 1))
plt.plot([1, 2]);

# %%
open("left_behind.txt", "w").write("here");
'''
)

PIXELS = bytes.fromhex(  # a PNG of two pixels
    "89504e470d0a1a0a0000000d49484452000000020000000108020000007b40e8dd"
    "0000000f49444154789c63f8cfc0c0f01f000700018005ff02feb6bd59840000000049454e44ae426082"
)


def notebook(root: Path, name: str, text: str, stem: str | None = None) -> Path:
    path = root / "solutions" / name / f"{stem or name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Run:
    root: Path
    code: int
    out: str
    err: str

    @property
    def page(self) -> Path:
        return self.root / "build" / "walkthrough" / "good.html"

    @property
    def soup(self) -> bs4.BeautifulSoup:
        return bs4.BeautifulSoup(self.page.read_text(encoding="utf-8"), "html.parser")


CALL = """
import sys, pathlib
from helpers import walkthrough
sys.exit(walkthrough.main(sys.argv[2:], pathlib.Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("course")
    (notebook(root, "good", GOOD).parent / "two.png").write_bytes(PIXELS)
    done = subprocess.run(
        [sys.executable, "-c", CALL, str(root)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=Path(__file__).parent.parent,
    )
    return Run(root, done.returncode, done.stdout, done.stderr)


def test_a_good_notebook_ends_with_a_summary(good: Run) -> None:
    assert good.code == 0, good.err
    said = r"good.html: 4 cells, 0 errors, 2 images \(1 of them without alternative text\), \d+ s"
    assert re.search(said, good.out)
    assert "100%" in good.err  # the progress bar


def test_the_page_needs_nothing_from_elsewhere(good: Run) -> None:
    for element in good.soup.find_all(["script", "link", "iframe", "object"]):
        pytest.fail(f"the page loads or runs something: {str(element)[:80]}")
    sources = [image["src"] for image in good.soup.find_all("img")]
    assert len(sources) == 3 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"url\((?!data:)|@import", " ".join(style.text for style in good.soup.find_all("style")))


def test_alternative_text_stays(good: Run) -> None:
    texts = [image["alt"] for image in good.soup.find_all("img")]
    assert texts == ["two pixels", 'All of it is "magenta" & <flat>', "No description has been provided for this image"]


def test_contents_link_to_headings(good: Run) -> None:
    links = good.soup.select("nav.toc a")
    assert [link.text for link in links] == ["Step 1: first & foremost", "Plots"]
    assert all(good.soup.find(id=link["href"].removeprefix("#")) for link in links)
    assert good.soup.title and good.soup.title.text == "A small page"
    assert good.soup.find("a", href="https://example.org/")


def test_a_progress_bar_becomes_its_last_line(good: Run) -> None:
    bars = [pre.text for pre in good.soup.select(".stderr pre")]
    assert len(bars) == 1 and bars[0].count("steps:") == 1 and "3/3" in bars[0]


def test_the_notebook_runs_in_this_python_and_in_its_folder(good: Run) -> None:
    assert any(f"runs in {sys.executable}" in pre.text for pre in good.soup.select("pre.output"))
    assert (good.root / "solutions" / "good" / "left_behind.txt").read_text() == "here"
    assert good.soup.select(".time"), "no cell says how long it ran"


def test_a_browser_draws_the_page(good: Run, system_program, tmp_path: Path) -> None:
    from PIL import Image

    chromium = system_program("chromium", "chromium-browser", "google-chrome", package="chromium")
    shot = tmp_path / "page.png"
    command = [chromium, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command += ["--window-size=1400,2000", f"--screenshot={shot}", good.page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    colors = {color: count for count, color in Image.open(shot).convert("RGB").getcolors(maxcolors=1 << 24) or []}
    assert colors.get((255, 0, 255), 0) > 50_000  # the plot, 4 by 3 inches, was decoded and drawn


BAD = (
    HEADER
    + """# %%
before = 1

# %%
# not this line
values = [1, 2][5]

# %%
print("never")
"""
)


def test_an_error_fails_the_command_and_the_page_is_still_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook(tmp_path, "bad", BAD)
    assert walkthrough.main([], tmp_path) == 1
    said = capsys.readouterr()
    assert "3 cells, 1 errors, 0 images" in said.out
    assert "code cell 2 (values = [1, 2][5]): IndexError: list index out of range" in said.err
    page = (tmp_path / "build" / "walkthrough" / "bad.html").read_text(encoding="utf-8")
    soup = bs4.BeautifulSoup(page, "html.parser")
    assert "IndexError" in soup.select_one("p.failure").text
    assert "list index out of range" in soup.select_one(".error").text
    assert list((tmp_path / "build" / "walkthrough").iterdir()) == [tmp_path / "build" / "walkthrough" / "bad.html"]


def test_a_kernel_that_dies_is_named_and_the_other_notebooks_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook(tmp_path, "a", HEADER + "# %%\nimport os\n\n# %%\nos._exit(3)\n")
    notebook(tmp_path, "a", HEADER + "# %%\nprint(1)\n", stem="second_part")
    notebook(tmp_path, "b", "def helper():\n    return 1\n")  # no cells: not a notebook
    assert walkthrough.main(["solutions/a/"], tmp_path) == 1
    said = capsys.readouterr()
    assert "code cell 2 (os._exit(3)): DeadKernelError: Kernel died" in said.err
    assert sorted(path.name for path in (tmp_path / "build" / "walkthrough").iterdir()) == [
        "a-second_part.html",
        "a.html",
    ]


def test_an_output_that_is_no_notebook_output_is_named(tmp_path: Path) -> None:
    wrong = 'from IPython.display import display\ndisplay({"image/png": None}, raw=True)\n'
    source = notebook(tmp_path, "a", HEADER + "# %%\n" + wrong)
    result = walkthrough.run(source, tmp_path / "a.html", progress=False)
    assert result.failure and "code cell 1" in result.failure and "NotebookValidationError" in result.failure
    assert (tmp_path / "a.html").exists()


def test_an_unknown_assignment_names_those_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(tmp_path, "ex1", BAD)
    assert walkthrough.main(["ex9"], tmp_path) == 1
    assert "there is no notebook for ex9" in capsys.readouterr().err
    assert walkthrough.main(["ex1"], tmp_path / "empty") == 1
    assert "there: none" in capsys.readouterr().err


def test_the_notebook_form_follows_its_text_and_no_work_is_lost(tmp_path: Path) -> None:
    import nbformat

    source = notebook(tmp_path, "a", HEADER + "# %%\nfirst = 1\n")
    form = source.with_suffix(".ipynb")
    assert walkthrough.write_notebooks(tmp_path / "solutions") == [form]
    assert nbformat.read(form, as_version=4).cells[-1].source == "first = 1"
    assert walkthrough.write_notebooks(tmp_path / "solutions") == []

    form.write_text(form.read_text(encoding="utf-8").replace("first", "mine"), encoding="utf-8")
    assert walkthrough.write_notebooks(tmp_path / "solutions") == []  # edited later than the text
    source.write_text(HEADER + "# %%\nsecond = 2\n")
    later = form.stat().st_mtime + 10
    os.utime(source, (later, later))
    assert walkthrough.write_notebooks(tmp_path / "solutions") == [form]
    assert "second = 2" in form.read_text(encoding="utf-8")
    assert "mine = 1" in form.with_suffix(".old.ipynb").read_text(encoding="utf-8")


def test_formulas_are_drawn_without_a_script(tmp_path: Path) -> None:
    pytest.importorskip("latex2mathml", reason="set up again: latex2mathml is new")
    source = notebook(
        tmp_path,
        "math",
        HEADER + '# %% [markdown]\n"""\nA $\\frac{a}{b}$.\n\n$$T = x^2$$\n\n\\begin{align}a\\end{align}\n"""\n',
    )
    result = walkthrough.run(source, tmp_path / "math.html", progress=False)
    soup = bs4.BeautifulSoup(result.page.read_text(encoding="utf-8"), "html.parser")
    assert [math["display"] for math in soup.find_all("math")] == ["inline", "block", "block"]
    assert soup.find("mfrac") and "$" not in soup.select_one("main").text
    assert result.cells == 0 and result.failure is None
