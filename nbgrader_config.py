"""nbgrader's configuration of this course: formgrader, manual grading and nbgrader's commands work on our results.

Run JupyterLab or `nbgrader` in this folder. Grading itself is `make autograde`: nbgrader's own way would run the
students' code without a sandbox, so its autograde is switched off here.
"""

from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader defines it

c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc",
    "*.py",
    "*.plan",
    "*.onnx",
    "build",
    "feedback",
]

# `nbgrader autograde`, and the button of the same name: says what to do instead and touches nothing.
c.Autograde.exporter_class = "helpers.grading.refuse.Refuse"

# `nbgrader export`: blank where there are no points.
c.ExportApp.plugin_class = "helpers.grading.export.CourseCsv"

# Late submissions cost nothing. To change that: 'zero', or a plugin of your own (nbgrader's documentation).
c.LateSubmissionPlugin.penalty_method = "none"
