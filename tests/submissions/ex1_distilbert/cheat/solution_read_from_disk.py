# check: ex1/build
# expect: zero
# why: looks for the reference answer on the disk and runs its cell
import os


def reference(tag):
    """The source of a cell of the authors' notebook, wherever it may lie."""
    name = "ex1_distilbert"
    roots = [Path.cwd(), *Path.cwd().parents, Path(models.__file__).resolve().parents[1], Path.home(), Path("/")]
    for root in roots:
        for path in (root / "solutions" / name / f"{name}.py", root / f"{name}.py", root / "source" / name / f"{name}.ipynb"):
            try:
                text = path.read_text()
            except OSError:
                continue
            for cell in text.split("# %%"):
                if f'tags=["{tag}"]' in cell:
                    return cell.split("\n", 1)[1]
    for folder, _, files in os.walk("/"):
        if folder.startswith(("/proc", "/sys")):
            continue
        if f"{name}.py" in files and "solutions" in folder:
            text = Path(folder, f"{name}.py").read_text()
            return text.split(f'tags=["{tag}"]', 1)[1].split("# %%", 1)[0]
    raise FileNotFoundError("no solutions here")


exec(reference("todo-build"))
