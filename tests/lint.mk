# make lint: what can be said of the code without running it; each part can be asked for alone.

LINTS := floors headers sizes words named format python cppcheck

lint:
	@failed=0; for l in $(LINTS); do \
		$(MAKE) --no-print-directory lint-$$l >build/lint-$$l.out 2>&1 && continue; \
		grep -v '^make' build/lint-$$l.out; failed=$$((failed + 1)); echo "lint: $$l FAILED"; \
	done; echo "lint: $$(($(words $(LINTS)) - failed)) passed, $$failed failed"; [ $$failed = 0 ]
headers: lint-headers
format:
	@tests/lint/format.sh -i

lint-headers:
	@CC='$(CC)' FLAGS='$(CPPFLAGS) $(CFLAGS)' tests/lint/headers.sh
lint-floors lint-sizes lint-words lint-named lint-format lint-python lint-cppcheck: lint-%:
	@tests/lint/$*.sh
lint lint-headers: | build
build:
	@mkdir -p build

.PHONY: $(addprefix lint-,$(LINTS))
