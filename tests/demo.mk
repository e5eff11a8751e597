# make demo: three nodes and a router on this machine, a first push and a first clone.
# make demo LOG=kafka: the same with the commit log in three Kafka brokers.

demo:
	@$(MAKE) --no-print-directory deps-build
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) B=release all
	@$(if $(filter kafka,$(LOG)),$(MAKE) --no-print-directory deps-kafka)
	@tests/demo build/demo$(if $(filter kafka,$(LOG)),-kafka --log kafka)
