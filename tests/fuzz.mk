# make fuzz: every fuzz target over its corpus, with the sanitizers of B=debug.
# make fuzz-run [FUZZ="pktline report"] [FUZZ_SECONDS=60]: libFuzzer invents more; what it finds new
# goes to build/fuzz/corpus, what breaks to build/fuzz/found.

FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang-14
FUZZ_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/fuzz/*.c))

CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DGITSHARD_TEST=1 -Wno-error
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined

$(O)/tests/fuzz/replay_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/replay_main.o $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/tests/fuzz/invent_%: $(O)/tests/fuzz/fuzz_%.o $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

fuzz-replayers: $(FUZZ:%=$(O)/tests/fuzz/replay_%)
fuzz-inventors: $(FUZZ:%=$(O)/tests/fuzz/invent_%)

fuzz:
	@$(MAKE) --no-print-directory B=debug FUZZ='$(FUZZ)' fuzz-replayers
	@passed=0; failed=0; for f in $(FUZZ); do \
		if out=$$(build/debug/tests/fuzz/replay_$$f tests/corpus/$$f 2>&1); then \
			passed=$$((passed + 1)); \
		else \
			failed=$$((failed + 1)); printf '%s\n' "$$out" | tail -n 60; echo "fuzz: $$f FAILED"; \
		fi; \
	done; echo "$$passed passed, $$failed failed"; [ $$failed = 0 ]

fuzz-run:
	@$(MAKE) --no-print-directory B=fuzz CC='$(FUZZ_CC)' FUZZ='$(FUZZ)' fuzz-inventors
	@for f in $(FUZZ); do \
		mkdir -p build/fuzz/corpus/$$f build/fuzz/found; \
		build/fuzz/tests/fuzz/invent_$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
			-artifact_prefix=build/fuzz/found/$$f- \
			build/fuzz/corpus/$$f tests/corpus/$$f || exit 1; \
		echo "fuzz-run: $$f found nothing in $(FUZZ_SECONDS) s"; \
	done

-include $(FUZZ_OBJ:.o=.d)

.PHONY: fuzz fuzz-run fuzz-replayers fuzz-inventors
