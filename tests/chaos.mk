# make chaos [CHAOS_SECONDS=300] [CHAOS_SEED=N] [GITSHARD_BUILD=debug]: pushes and reads while nodes,
# routers and children are killed, stopped and paused, and files change; then nothing may be lost,
# stale, half or left behind.  make chaos-short: 40 s of it, by a seed that does not change.

chaos: $(if $(GITSHARD_BUILD),chaos-build-$(GITSHARD_BUILD),chaos-build-release)
	@CHAOS_SECONDS='$(CHAOS_SECONDS)' CHAOS_SEED='$(CHAOS_SEED)' /usr/bin/python3 -B tests/chaos/chaos.py
chaos-short:
	@$(MAKE) --no-print-directory CHAOS_SECONDS=40 CHAOS_SEED=$(or $(filter-out 0,$(CHAOS_SEED)),1) chaos
chaos-build-%:
	@$(MAKE) --no-print-directory $(JOBS) B=$* all
CHAOS_SECONDS ?= 300
CHAOS_SEED ?= 0

.PHONY: chaos chaos-short
