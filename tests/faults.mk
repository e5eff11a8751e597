# make check-log-faults [LOG=file|kafka] [SEEDS=20] [SEED=1] [TURNS=12]: pushes and reads on a log that loses,
# doubles, delays, freezes and refuses, by SEEDS seeds on each log (LOG: on that one alone), from SEED on;
# then the log is read and everything compared with it.  `make e2e` has two seeds of it on the file log.

SEEDS ?= 20
SEED ?= 1
TURNS ?= 12
FAULT_LOGS := $(or $(LOG),file kafka)

$(O)/tests/dump/%: $(O)/tests/dump/%.o $(O)/libgitshard.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

check-log-faults: $(if $(filter kafka,$(FAULT_LOGS)),deps-kafka)
	@for log in $(FAULT_LOGS); do \
		GITSHARD_LOG=$$log GITSHARD_FAULT_SEEDS=$(SEEDS) GITSHARD_FAULT_SEED=$(SEED) GITSHARD_FAULT_TURNS=$(TURNS) \
			$(MAKE) --no-print-directory e2e E2E="-s tests/e2e/test_71_log_faults.py" || exit 1; \
	done

-include $(O)/tests/dump/dump_log.d

.PHONY: check-log-faults
