# GNU make 3.81 (what macOS ships) or newer. `make help` lists what there is.
# SHELL carries its options because 3.81 does not know .SHELLFLAGS.
SHELL := bash -eu -o pipefail
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What to compute. Assigned here, not with ?=, so that a DATA or PLATFORM that happens to be in the environment does
# not change a result; the command line wins: make paper DATA="my table.csv" TEXT=review LABEL=stars
CHOICES := DATA TEXT LABEL SPLIT PLATFORM PROFILE SEEDS SET
$(foreach v,$(CHOICES),$(if $(filter environment,$(origin $(v))),\
  $(warning $(v) in the environment is not used; write: make … $(v)=…)))
DATA := embedded
TEXT :=
LABEL :=
SPLIT :=
PLATFORM :=
PROFILE := cpu
SEEDS :=
SET :=

# How to compute it. WORKERS follows -j2; without a number a run goes on every core, on a GPU one. (3.81 hides the number.)
WORKERS ?= $(patsubst -j%,%,$(firstword $(filter -j%,$(MFLAGS))))
VENV ?= .venv
PYTHON ?=
TORCH ?=

export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export PYTHONHASHSEED ?= 0
# glibc otherwise moves this border up by itself: with batches of changing shape freed memory is then kept, not reused
export MALLOC_MMAP_THRESHOLD_ ?= 33554432

ifeq ($(VENV),none)
  PY := $(or $(PYTHON),python)
  READY :=
else
  PY := $(VENV)/bin/python
  READY := $(VENV)/.ready
endif

# A value as one word of the shell, whatever it contains.
comma := ,
quote = '$(subst ','\'',$(1))'
option = $(if $(value $(1)),--$(2) $(call quote,$(value $(1))))
OPTIONS = $(strip --data $(call quote,$(value DATA)) $(call option,TEXT,text) $(call option,LABEL,label) \
  $(call option,SPLIT,split) $(call option,PLATFORM,platform) --profile $(call quote,$(value PROFILE)) \
  $(call option,SEEDS,seeds) $(if $(WORKERS),--workers $(WORKERS)) \
  $(if $(value SET),--set $(foreach pair,$(value SET),$(call quote,$(pair)))))
RUN := $(PY) -m paperkit

NOTEBOOKS := $(filter-out %.failed,$(sort $(basename $(notdir $(wildcard notebooks/0*.ipynb)))))
LEDGER := $(filter %_claims,$(NOTEBOOKS))

.PHONY: help setup paper train plan test test-all verify claims report lab data publish refresh lint benchmarks pretrain clean clean-all FORCE
.PHONY: $(NOTEBOOKS)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo '  make b_table_3   one exhibit: b_… and a_… of the papers, x_… ours'
	@echo '  make 03_uda      one notebook'
	@echo
	@echo 'What:  DATA=embedded|public|table.csv (with TEXT= LABEL= SPLIT= PLATFORM=, names of its columns)'
	@echo '       PROFILE=smoke|cpu|gpu  SEEDS=5  SET="gamma=3 epochs=5"'
	@echo 'How:   -j2 or WORKERS=2 (otherwise every core, on a GPU one run)  TORCH=cpu|cuda  PYTHON=python3.12  VENV=none (the active environment)'

setup: $(READY) ## make or update the virtual environment (every other target does it when needed)

TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
SWITCH := $(if $(TORCH),$(if $(filter-out $(TORCH),$(shell cat $(VENV)/.ready 2>/dev/null)),FORCE))

# .ready is written last, so that the next make takes an interrupted installation up again: a package that pip was
# still unpacking has no RECORD, and pip would count it as installed. .ready names the build of PyTorch that was chosen;
# asking for the other build starts afresh. PyTorch's own index is asked first for the CPU build because the ordinary
# one would bring gigabytes of CUDA libraries; where it cannot be reached, nobody should have to wait or to worry.
$(VENV)/.ready: requirements.txt pyproject.toml $(SWITCH)
	@found=; for python in $(or $(PYTHON),python3 python3.12 python3.11 python3.13); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	  then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'Python 3.11, 3.12 or 3.13 is needed$(if $(PYTHON),$(comma) and $(PYTHON) is none); name one: make setup PYTHON=/path/to/python3.12' >&2; \
	  exit 1; \
	fi; \
	chosen=$$(cat $(VENV)/.ready 2>/dev/null || true); \
	torch=$(TORCH); torch=$${torch:-$$chosen}; \
	if [ -z "$$torch" ]; then if command -v nvidia-smi >/dev/null; then torch=cuda; else torch=cpu; fi; fi; \
	case $$torch in cpu|cuda) ;; *) echo "TORCH is cpu or cuda, not $$torch" >&2; exit 1;; esac; \
	rm -f $(VENV)/.ready; \
	if [ "$${chosen:-$$torch}" != "$$torch" ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  echo "Making $(VENV) with $$("$$found" --version)"; \
	  "$$found" -m venv --clear $(VENV); \
	fi; \
	for info in $(VENV)/lib/python3*/site-packages/*.dist-info; do \
	  [ -e "$$info/RECORD" ] || rm -rf "$$info"; \
	done; \
	pip="$(PY) -m pip --disable-pip-version-check install"; \
	[ -t 1 ] || pip="$$pip --quiet"; \
	if [ $$torch = cpu ]; then \
	  pin=$$(sed -n 's/^\(torch==[0-9.]*\).*/\1/p' requirements.txt); \
	  echo 'Installing PyTorch for the CPU'; \
	  $$pip --no-deps --retries 0 --timeout 10 --index-url $(TORCH_CPU_INDEX) "$$pin" 2>/dev/null || \
	    echo "$(TORCH_CPU_INDEX) does not answer; PyTorch will come from the ordinary index"; \
	fi; \
	echo 'Installing the pinned packages (a few minutes the first time)'; \
	$$pip -r requirements.txt; \
	$$pip --no-deps --no-build-isolation -e .; \
	echo $$torch > $(VENV)/.ready

train: $(READY) ## train every run that is still missing
	$(RUN) train $(OPTIONS)

# Whether a notebook has to run again is decided by the content of all that it rests on, not by dates of files.
$(NOTEBOOKS): $(READY) | train
	$(RUN) notebook $@ $(OPTIONS)

# The ledger of claims reads what the other notebooks wrote.
$(LEDGER): | $(filter-out $(LEDGER),$(NOTEBOOKS))

paper: $(READY) ## every table, figure, claim and the report
	$(RUN) paper $(OPTIONS)

report: $(READY) ## the report, one HTML file: what is built, or else the committed reference
	$(RUN) report $(OPTIONS)

plan: $(READY) ## what `make paper` would still train: runs, minutes, disk
	$(RUN) plan $(OPTIONS)

define exhibit
$(RUN) exhibit $@ $(OPTIONS)
endef
# Three rules: one rule with three patterns would make b_table_3 and a_table_3 count as one.
a_%: $(READY) FORCE
	$(exhibit)
b_%: $(READY) FORCE
	$(exhibit)
x_%: $(READY) FORCE
	$(exhibit)

verify: $(READY) ## compare this machine's results with the committed reference
	$(RUN) verify $(OPTIONS)

claims: $(READY) ## the ledger of claims; fails if the committed one does not follow from the committed numbers
	$(RUN) claims $(OPTIONS)

publish: $(READY) ## make these results the committed reference in figures/
	$(RUN) publish $(OPTIONS)

# The only target that may use the network after setup.
data: $(READY) ## fetch the public corpora (PROFILE=gpu: and its encoders)
	$(if $(filter file,$(origin HF_HUB_OFFLINE)),HF_HUB_OFFLINE=0 )$(RUN) data --profile $(call quote,$(value PROFILE))$(if $(value SET), --set $(foreach pair,$(value SET),$(call quote,$(pair))))

lab: $(READY) ## open the notebooks in JupyterLab
	@mkdir -p build/lab
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
	  > build/lab/overrides.json
	$(PY) -m jupyterlab --LabApp.app_settings_dir=build/lab --FileContentsManager.preferred_dir=notebooks

# A file of tests stays in one process: what it has trained it shares.
PYTEST := PAPERKIT_HEADLESS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout 1200

test: $(READY) ## the tests, and every notebook against its committed numbers
	$(PYTEST) -m 'not slow' tests notebooks

test-all: $(READY) ## the same with the slow tests
	$(PYTEST) tests notebooks

lint: $(READY) ## check the style of code and notebooks
	$(PY) -m ruff check .

refresh: $(READY) ## execute the committed notebooks again, in place
	$(RUN) refresh

# PRETRAIN="--device cuda --tokens 2e9 --batch-tokens 65536" on a GPU
pretrain: $(READY) ## pretrain the encoder `mini` again (hours; PRETRAIN="--tokens 1e8 …"); a killed one goes on
	MALLOC_TRIM_THRESHOLD_=268435456 $(PY) -m paperkit.pretraining $(PRETRAIN)

benchmarks: $(READY) ## speed, as ratios: to a plain implementation, and of the encoders
	@for script in terms bilstm_throughput encoder_throughput; do \
	  echo "== benchmarks/$$script.py"; $(PY) "benchmarks/$$script.py"; done

clean: ## remove build/; trained runs and downloads stay
	rm -rf build .pytest_cache .ruff_cache .hypothesis
	@echo 'Trained runs (.store) and downloads (data/downloads) are kept; `make clean-all` removes them too.'

clean-all: clean ## remove trained runs and downloads too (not the environment: rm -r .venv)
	rm -rf .store data/downloads
