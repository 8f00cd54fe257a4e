# Everything here sets itself up: a fresh Debian with Python 3.11 and make is enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo load locust test faults autobahn mutants check format clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 20

demo: $(VENV)/.demo  ## a live room with an audience and flash sales, judged; ARGS="--headless --seconds 20"
	@$(BIN)/liveserver demo $(ARGS)

load: $(VENV)/.demo  ## play a scenario at length and judge it by its marks; SCENARIO=flash_sale ARGS="--report out/"
	@$(BIN)/python -m loadtest scenario $(or $(SCENARIO),--list) $(ARGS)

locust: $(VENV)/.locust  ## a locust audience for a server that runs; its web page, or ARGS="--headless -u 300 -t 1m"
	@$(BIN)/locust -f loadtest/locust/locustfile.py $(ARGS)

test: $(VENV)/.test  ## every test, against a real Valkey, real sockets and a real browser; ARGS="-k stock"
	@scripts/need gcc gcc libc6-dev  # for the native sender, and a disk that can be held, in tests/faults
	@$(BIN)/python -m liveserver.native
	@scripts/need chromium chromium fonts-noto-cjk
	@scripts/need libatomic.so.1 libatomic1  # playwright's driver is linked with it
	$(BIN)/pytest $(ARGS)

faults: $(VENV)/.test  ## the stock counter's faults at length: more rounds, more seeds; ARGS="-k linear"
	@scripts/need gcc gcc libc6-dev
	$(BIN)/pytest -m long tests/stock tests/faults tests/linear $(ARGS)

autobahn: $(VENV)/.test  ## the WebSocket conformance cases, all of them (make test runs most): four minutes
	$(BIN)/pytest -m long tests/edge/test_autobahn.py $(ARGS)

mutants: $(VENV)/.test  ## break the stock counter on purpose, each way there is a patch for: the tests must notice
	@scripts/need gcc gcc libc6-dev
	@$(BIN)/python -m tests.mutants $(ARGS)

check: $(VENV)/.test  ## ruff, mypy strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layers.py

format: $(VENV)/.test  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## take away the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/pip:
	@scripts/venv $(PYTHON) $(VENV)

$(VENV)/.demo: $(VENV)/bin/pip pyproject.toml constraints.txt hatch_build.py liveserver/native/send_frame.c
	@echo "installing liveserver into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,load]'
	@$(BIN)/python -m liveserver.native
	@touch $@

$(VENV)/.locust: $(VENV)/.demo
	@echo "installing locust into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,load,locust]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "installing the test tools into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,load,locust,test]'
	@touch $@
