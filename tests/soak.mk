# make soak-pushes [PUSHES=20000]: so many pushes to one repository, one after another; prints the p50 of
# the first and last thousand, their ratio, and the most packs seen on each node.

PUSHES ?= 20000
soak-pushes:
	@GITSHARD_PUSHES=$(PUSHES) $(MAKE) --no-print-directory \
		E2E="tests/e2e/test_36_repack.py -k pushes_without_end -s" e2e

.PHONY: soak-pushes
