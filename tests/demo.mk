# make demo: three nodes and a router on this machine, a first push and a first clone.

demo:
	@$(MAKE) --no-print-directory deps-build
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) B=release all
	@tests/demo build/demo
