# What Debian 12 lacks for building (deps-build: `make demo` needs no more) and for testing (deps).
# Nothing is done, and nobody is asked for a password, when all of it is there.

DEPS_BUILD := gcc libc6-dev make git pkg-config libevent-dev libnghttp2-dev libssl-dev libgit2-dev \
	libsqlite3-dev zlib1g-dev libconfuse-dev libjansson-dev libxxhash-dev uthash-dev \
	libcurl4-openssl-dev librdkafka-dev node-llhttp python3
DEPS_TEST := libcmocka-dev cppcheck clang-format-14 python3-pytest python3-hypothesis \
	python3-pyflakes curl procps

deps:
	@tests/deps $(DEPS_BUILD) $(DEPS_TEST)
deps-build:
	@tests/deps $(DEPS_BUILD)

.PHONY: deps-build
