# make check: everything, in the order in which a failure says most; under 30 minutes on two cores.

STAGES ?= check-build lint unit unit-tsan model-short fuzz e2e kafka-short
JOBS := $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

check:
	@$(MAKE) --no-print-directory deps
	@MAKE='$(MAKE)' tests/check $(STAGES)

check-build:
	@$(MAKE) --no-print-directory $(JOBS) B=release all
	@$(MAKE) --no-print-directory $(JOBS) B=debug all
	@echo "2 passed, 0 failed"

# make e2e [E2E="tests/e2e/test_30_write.py -k delete"] [GITSHARD_BUILD=debug]
E2E ?= tests/e2e
e2e:
	@$(MAKE) --no-print-directory $(JOBS) B=release all
	@$(MAKE) --no-print-directory $(JOBS) B=debug all build/debug/tests/dump/dump_log
	@/usr/bin/python3 -B -m pytest -c tests/e2e/pytest.ini --rootdir tests/e2e -q $(E2E)

.PHONY: check-build
