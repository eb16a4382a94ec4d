# make train    a fresh machine -> an environment -> a small language model, after 3 minutes of training
# make test     everything that has to hold, in the same environment
# make export   notebooks -> sru_nb/, tests/, README.md
# make lab      read and run the notebooks in JupyterLab
# make clean    remove the environment and what was built; runs/ stays
# PYTHON=/path/to/python3.11 chooses the interpreter that the environment is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RUN := $(CURDIR)/runs/train-$(shell date +%Y%m%d-%H%M%S)

# every pip call takes the pinned versions
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, as in many containers, every process would compile what it imports once more: seconds for PyTorch.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test export lab clean

# threads that wait for one another soon sleep, unless the environment says how they wait (nbs/34_run.ipynb)
ifeq ($(OMP_WAIT_POLICY)$(GOMP_SPINCOUNT),)
train lab: export GOMP_SPINCOUNT := 1000
endif

train: $(READY)
	mkdir -p $(RUN)
	SRU_NB_PROGRESS=plain $(BIN)/python -m papermill --log-output --no-progress-bar nbs/40_enwik8.ipynb $(RUN)/out.ipynb \
	    -p corpus embedded -p preset tiny -p max_seconds 180 -p run_dir $(RUN)
	@$(BIN)/python -c "import json; r = json.load(open('$(RUN)/results.json')); \
	    print('', r['generated'], '', *(f'{k}: {v}' for k, v in r['metrics'].items()), sep='\n')"
	@echo "the notebook as it ran: $(RUN)/out.ipynb"

# tests run side by side: a thread that waits by spinning would hold the others up
test: export OMP_WAIT_POLICY := passive
test: $(READY)
	$(BIN)/python -m sru_nb.export --check
	$(BIN)/python -m ruff check
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests
	$(BIN)/python tests/run_notebooks.py library jobs

# the second line: an edit of 99_export itself shows only in the next export
export: $(READY)
	$(BIN)/python -m sru_nb.export
	$(BIN)/python -m sru_nb.export --check

lab: $(VENV)/lab
	$(BIN)/python -m jupyterlab nbs

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The pinned list first, of which pip need not find out whether it fits together: that takes longer than to load it.
# It is loaded by two calls side by side, one for the two that are as large as all the others together.
# The last call adds what another system needs. Nothing is compiled before it is imported, few of the files are.
$(READY): setup.py settings.ini constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \
	    f'the pinned versions need Python 3.11 or later, this is {sys.version}: set PYTHON')"
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	grep -E '^(torch|cupy)' constraints.txt > $(VENV)/large.txt
	grep -vE '^(torch|cupy)' constraints.txt > $(VENV)/others.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -r $(VENV)/large.txt & \
	    $(BIN)/python -m pip install --quiet --no-compile --no-deps -r $(VENV)/others.txt && wait $$!
	$(BIN)/python -m pip install --quiet --no-compile --no-build-isolation -e '.[train,dev]'
	@touch $@

$(VENV)/lab: $(READY)
	$(BIN)/python -m pip install --quiet -e '.[lab]'
	@touch $@
