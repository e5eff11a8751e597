# make model: the commit protocol's own code, searched in all orders of small worlds, and again with
# each of its rules broken on purpose (docs/commit-log.md).  A few minutes and up to 12 GB.
# make model-short: the same with a bound on each world; under a minute.
# make model MODEL="-m 14": one mutant, with its story; -w 3: one world.

MODEL ?=
MODEL_CORE := record verdict verdict_content fate lease staging
MODEL_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/model/*.c)) \
	$(MODEL_CORE:%=$(O)/tests/model/core/%.o)

$(MODEL_OBJ): CPPFLAGS += -DGITSHARD_MODEL
$(O)/tests/model/core/%.o: shard-map/commitlog/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(O)/tests/model/model: $(MODEL_OBJ) $(call obj,$(addprefix gitproto/base/,buf.c err.c mem.c check.c))
	$(CC) $(LDFLAGS) -o $@ $^ -lcrypto

model-bin: $(O)/tests/model/model
model:
	@$(MAKE) --no-print-directory B=release model-bin
	@build/release/tests/model/model $(MODEL)
model-short:
	@$(MAKE) --no-print-directory B=release model-bin
	@build/release/tests/model/model -s $(MODEL)

-include $(MODEL_OBJ:.o=.d)

.PHONY: model-bin model-short
