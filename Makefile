# Each target is one command that also works without make: `python -m helpers <target>`, or `python -m helpers grade
# <command>` (see README.md).
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export EXTRAS TORCH_INDEX

.PHONY: setup lab walkthrough test lint bench doctor fuzz release autograde feedback export demo-class corpus clean

setup:  ## make .venv and install what this machine needs (PYTHON=, EXTRAS=, TORCH_INDEX=)
	@$(PYTHON) -m helpers setup

lab: setup  ## open the notebooks in JupyterLab (ARGS= is handed to it)
	@python -m helpers lab $(ARGS)

walkthrough: setup  ## run the solved notebooks and write build/walkthrough/<assignment>.html
	@python -m helpers walkthrough $(ASSIGNMENT)

test: setup  ## run the tests, with coverage (ARGS= is handed to pytest)
	@python -m helpers test $(ARGS)

lint: setup  ## ruff and mypy
	@python -m helpers lint

bench: setup  ## measure every engine of this machine side by side (ARGS=)
	@python -m helpers bench $(ARGS)

doctor: setup  ## say what this machine has, what fits, and what to do about the rest
	@python -m helpers doctor

fuzz: setup  ## mutated plans, ONNX files and messages: the full counts, minutes (ARGS=--save keeps them)
	@python -m helpers fuzz $(ARGS)

release: setup  ## solutions/ -> notebooks/, and a bundle for students (ASSIGNMENT=)
	@python -m helpers grade release $(ASSIGNMENT)

autograde: setup  ## grade a class (ASSIGNMENT=ex1_distilbert, SUBMITTED=, ROSTER=, WORKERS=, ARGS=)
	@python -m helpers grade class $(ASSIGNMENT) $(if $(SUBMITTED),--submitted "$(SUBMITTED)") $(if $(ROSTER),--roster "$(ROSTER)") $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

feedback: setup  ## write the class's feedback pages (ASSIGNMENT=)
	@python -m helpers grade feedback $(ASSIGNMENT)

export: setup  ## write grades.csv, or fill Canvas's own (ASSIGNMENT=, FORMAT=canvas FILE= COLUMN=)
	@python -m helpers grade export $(ASSIGNMENT) --format "$(FORMAT)" --file "$(FILE)" --column "$(COLUMN)"

demo-class: setup  ## grade six made-up students, and compare with what is expected
	@python -m helpers grade demo $(ARGS)

corpus: setup  ## judge the corpus of right and wrong answers (ARGS=)
	@python -m helpers grade corpus $(ARGS)

clean:  ## delete what the commands made, but not .venv (python -m helpers clean --all takes it too)
	@$(PYTHON) -m helpers clean
