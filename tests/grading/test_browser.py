"""In a real browser: a student fills a cell of the released notebook, an instructor finds a score in formgrader.

One JupyterLab on a free port of this machine, a copy of the release, Debian's Chromium.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.grading import collect, course, demo, reference

from .classroom import ASSIGNMENT, graded, new_course, release, submission

PICTURES = os.environ.get("PICTURES")  # a folder for screenshots; none are taken without


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded class of two, and the release as a student has it."""
    root = tmp_path_factory.mktemp("browser")
    room = new_course(root)
    (root / "nbgrader_config.py").write_text(demo._CONFIG.format(path=str(course.ROOT)))
    shutil.copytree(course.ROOT / "notebooks" / ASSIGNMENT, root / "notebooks" / ASSIGNMENT)
    with course.Book(room, ASSIGNMENT, release(), prepare=True) as book:
        book.gradebook.update_or_create_student("ada", first_name="Ada", last_name="Lovelace")
        for student, share in (("ada", 0.5), ("ben", 1.0)):
            book.record(collect.Submission(student, Path("x")), graded(submission(), share), {})
    return root


@pytest.fixture(scope="module")
def lab(root: Path) -> Iterator[str]:
    """The address of a JupyterLab in `root`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}", "--ServerApp.token="]
    command += ["--ServerApp.password=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    course.path_of_alembic()
    env = {**os.environ, "PYTHONPATH": str(course.ROOT), "JUPYTERLAB_SETTINGS_DIR": str(root / ".lab")}
    env |= {"JUPYTERLAB_WORKSPACES_DIR": str(root / ".workspaces"), "JUPYTER_CONFIG_DIR": str(root / ".jupyter")}
    with open(root / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT, env=env)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5)
                break
            except OSError:
                assert server.poll() is None, (root / "lab.log").read_text()[-3000:]
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


@pytest.fixture
def page(system_program: Callable[..., str]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = system_program("chromium", "google-chrome", "chromium-browser", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


RUN = """async ([name, source]) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const index = notebook.widgets.findIndex(cell => cell.model.id === name);
    notebook.activeCellIndex = index;
    await notebook.scrollToItem(index, 'start');
    if (source !== null) notebook.activeCell.model.sharedModel.setSource(source);
    await window.jupyterapp.commands.execute('notebook:run-cell');
}"""


def test_a_student_fills_a_cell_and_reads_the_checks_lines(page: Any, lab: str, root: Path) -> None:
    solved = reference.answers(reference.path_of(ASSIGNMENT))
    page.goto(f"{lab}/lab/tree/notebooks/{ASSIGNMENT}/{ASSIGNMENT}.ipynb")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget?.content?.widgets?.length > 50")
    page.evaluate("window.jupyterapp.shell.currentWidget.context.sessionContext.ready")
    glue = [cell.id for cell in release().cells if cell.id.startswith("glue-") and cell.cell_type == "code"]
    before = glue[: next((i for i, name in enumerate(glue) if "build" in name), len(glue))]
    for name in ("imports", *before):
        page.evaluate(RUN, [name, None])
    page.evaluate(RUN, ["todo-parse", None])
    page.evaluate(RUN, ["check-parse", None])
    output = page.locator(".jp-OutputArea-output", has_text="ex1/parse")
    output.first.wait_for()
    assert "not attempted" in output.first.inner_text()
    picture(page, "not-attempted")

    page.evaluate(RUN, ["todo-parse", solved["todo-parse"]])
    page.evaluate(RUN, ["check-parse", None])
    page.locator(".jp-OutputArea-output", has_text="3 of 3 points").first.wait_for()
    text = page.locator(".jp-OutputArea-output", has_text="3 of 3 points").first.inner_text()
    assert "✓" in text and "1 of 8" in text
    picture(page, "passed")


def test_an_instructor_finds_the_scores_in_formgrader(page: Any, lab: str) -> None:
    page.goto(f"{lab}/formgrader/manage_submissions/{ASSIGNMENT}")
    row = page.locator("tr", has_text="Lovelace, Ada")
    row.first.wait_for()
    assert "16 / 52" in " ".join(row.first.inner_text().split())
    picture(page, "formgrader")
    page.goto(f"{lab}/formgrader/gradebook/{ASSIGNMENT}/{ASSIGNMENT}")
    page.get_by_role("link", name="Submission #1").click()
    page.locator("text=check-parse").first.wait_for(state="attached")
    picture(page, "submission")
