# What needs Kafka brokers.  Of it, `make check` runs kafka-short: one broker, a minute or two.
# make deps-kafka: a Java runtime, Maven, and by it the jars of each version.
# make check-kafka: the log's conformance tests on one broker and on three of each version, then the
#   end-to-end tests on three brokers.  E2E="..." as for make e2e; KAFKA_E2E= (nothing) leaves them out.
# make bench-log: latencies of the log, file and Kafka side by side.
# make check-kafka-chaos [CHAOS_SECONDS=120]: brokers paused, all of them lost, and one killed every 20 s
#   under load; at most GITSHARD_CHAOS_STALL=6 s without a push.

KAFKA_VERSIONS := 3.9.1 4.1.0
KAFKA_E2E ?= yes
CHAOS_SECONDS ?= 120

deps-kafka:
	@$(MAKE) --no-print-directory deps
	@tests/deps openjdk-17-jre-headless maven openssl
	@tests/kafka-jars $(KAFKA_VERSIONS)

check-kafka: deps-kafka
	@$(MAKE) --no-print-directory $(JOBS) B=debug all \
		build/debug/tests/unit/shard-map/commitlog/test_commitlog_conformance
	@tests/kafka-conformance $(KAFKA_VERSIONS)
	@$(if $(KAFKA_E2E),GITSHARD_LOG=kafka $(MAKE) --no-print-directory e2e)

kafka-short:
	@$(MAKE) --no-print-directory $(JOBS) B=debug all \
		build/debug/tests/unit/shard-map/commitlog/test_commitlog_conformance
	@MAKE='$(MAKE)' tests/kafka-short $(firstword $(KAFKA_VERSIONS))

check-kafka-chaos: deps-kafka
	@GITSHARD_LOG=kafka GITSHARD_CHAOS_SECONDS=$(CHAOS_SECONDS) \
		$(MAKE) --no-print-directory e2e E2E="-s tests/e2e/test_80_brokers.py"

$(O)/tests/bench/%: $(O)/tests/bench/%.o $(call obj,$(TEST_SRC)) $(O)/libgitshard.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
bench-log: deps-kafka
	@$(MAKE) --no-print-directory $(JOBS) B=release build/release/tests/bench/bench_log
	@tests/bench-log $(firstword $(KAFKA_VERSIONS))

-include $(O)/tests/bench/bench_log.d

.PHONY: deps-kafka kafka-short check-kafka check-kafka-chaos bench-log
