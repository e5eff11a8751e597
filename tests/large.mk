# make bench-large: a push of 1 GB beside plain git, and ten clients with 100 MB each while one voter
# reads 1 MB/s: times, peak memory of each process, bytes between nodes.  5 to 10 minutes, 12 GB of disk.

bench-large:
	@GITSHARD_LARGE=1 $(MAKE) --no-print-directory e2e E2E="-s tests/e2e/test_35_large.py"

.PHONY: bench-large
