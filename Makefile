# gitshard - build, test, demo.  `make demo` and `make check` are all that a newcomer needs.
#
#   make            the three programs and the hook program, build/release/
#   make demo       three nodes and a router on this machine, a first push and clone
#   make check      the whole truth: lint, unit tests, model, fuzz corpus, end to end
#   make deps       installs what Debian 12 lacks (root or sudo); demo and check call it
#   make lint | unit | unit-tsan | model | fuzz | e2e | headers | format     parts of it
#   make B=debug    ASan + UBSan;  B=tsan  ThreadSanitizer;  B=release  what runs in production

B ?= release
CC = gcc
O := build/$(B)

PKGS := libevent_core libevent_pthreads libnghttp2 libcrypto libgit2 sqlite3 zlib libconfuse jansson libxxhash libcurl rdkafka
WARN := -Wall -Wextra -Werror -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wwrite-strings -Wformat=2 -Wundef -fno-common
CPPFLAGS += -I. -I$(O) -I/usr/share/include -D_GNU_SOURCE -DGITSHARD_BUILD='"$(B)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS += -std=gnu11 -g $(WARN) -fstack-protector-strong -ffunction-sections -fdata-sections -MMD -MP -pthread
LDFLAGS += -pthread -Wl,--gc-sections -Wl,--as-needed
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

CFLAGS_release := -O2 -D_FORTIFY_SOURCE=2 -fstack-clash-protection -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack
CFLAGS_debug := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DGITSHARD_TEST=1
LDFLAGS_debug := -fsanitize=address,undefined
CFLAGS_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer -DGITSHARD_TEST=1
LDFLAGS_tsan := -fsanitize=thread
CFLAGS += $(CFLAGS_$(B))
LDFLAGS += $(LDFLAGS_$(B))

# Sources by room.  The library holds everything that more than one program uses.
LIB_SRC := $(wildcard gitproto/base/*.c gitproto/net/*.c gitproto/*.c shard-map/*.c shard-map/commitlog/*.c)
CTL_SRC := $(filter-out shard-map/ctl/main.c,$(wildcard shard-map/ctl/*.c))
ROUTER_SRC := $(filter-out router/main.c,$(wildcard router/*.c router/*/*.c))
HOOK_SRC := replica/hook/hook_main.c replica/hook/hook_wire.c replica/hook/chain.c
REPLICA_SRC := $(filter-out replica/main.c $(HOOK_SRC),$(wildcard replica/*.c replica/*/*.c))
LLHTTP_DIR ?= /usr/share/llhttp
LLHTTP_OBJ := $(O)/llhttp/api.o $(O)/llhttp/http.o $(O)/llhttp/llhttp.o

obj = $(patsubst %.c,$(O)/%.o,$(1))
LIBS := $(O)/libctl.a $(O)/librouter.a $(O)/libreplica.a $(O)/libgitshard.a

PROGRAMS := $(O)/gitshard-router $(O)/gitshard-replica $(O)/shardctl $(O)/gitshard-hook

# V=1 shows whole commands.
say = $(if $(V),,@echo "  $(1) $(2)";)

all: $(PROGRAMS)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(O)/llhttp/%.o: $(LLHTTP_DIR)/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -I/usr/share/include/llhttp -O2 -g -fPIE -c $< -o $@

# A source that was deleted must leave its archive: the archives are made anew each time.
$(O)/libgitshard.a: $(call obj,$(LIB_SRC)) $(LLHTTP_OBJ)
$(O)/libctl.a: $(call obj,$(CTL_SRC))
$(O)/librouter.a: $(call obj,$(ROUTER_SRC))
$(O)/libreplica.a: $(call obj,$(REPLICA_SRC))
$(LIBS):
	@rm -f $@
	@mkdir -p $(@D)
	$(call say,AR,$@)ar rcs $@ $^

$(O)/gitshard-router: $(O)/router/main.o $(O)/librouter.a $(O)/libgitshard.a
$(O)/gitshard-replica: $(O)/replica/main.o $(O)/libreplica.a $(O)/libgitshard.a
$(O)/shardctl: $(O)/shard-map/ctl/main.o $(O)/libctl.a $(O)/libgitshard.a
$(O)/gitshard-hook: $(call obj,$(HOOK_SRC)) $(O)/libgitshard.a
$(PROGRAMS):
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Unit tests: one program per test file, tests/unit/<room>/test_<file>.c
UNIT_SRC := $(shell find tests/unit -name 'test_*.c' 2>/dev/null)
UNIT_BIN := $(patsubst %.c,$(O)/%,$(UNIT_SRC))
TEST_SRC := $(wildcard tests/lib/*.c)

# A test links the library, and its own program's rooms: programs may name things alike.
own_lib = $(if $(filter router/%,$(1)),$(O)/librouter.a)$(if $(filter replica/%,$(1)),$(O)/libreplica.a)$(if $(filter shard-map/ctl/%,$(1)),$(O)/libctl.a)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(call obj,$(TEST_SRC)) $(LIBS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(call own_lib,$*) $(O)/libgitshard.a -lcmocka $(LDLIBS)

unit-bin: $(UNIT_BIN)
unit:
	@$(MAKE) --no-print-directory B=debug unit-bin all
	@tests/run-unit build/debug $(UNIT)

# What has threads, under ThreadSanitizer.
TSAN_SRC := $(filter-out %/test_http1_policy.c %/test_http1_parse.c,$(wildcard tests/unit/gitproto/net/*.c)) \
	$(wildcard tests/unit/shard-map/commitlog/test_commitlog_file*.c tests/unit/replica/shard/test_shard*.c) \
	tests/unit/shard-map/commitlog/test_map_follow.c tests/unit/replica/apply/test_apply.c tests/unit/router/test_router.c
TSAN_UNIT := $(filter %.c,$(filter tests/unit/%,$(TSAN_SRC)))
unit-tsan:
	@$(MAKE) --no-print-directory B=tsan $(patsubst %.c,build/tsan/%,$(filter $(UNIT_SRC),$(TSAN_UNIT)))
	@tests/run-unit build/tsan $(filter $(UNIT_SRC),$(TSAN_UNIT))

-include tests/*.mk

clean:
	rm -rf build

DEPS_C := $(LIB_SRC) $(CTL_SRC) $(ROUTER_SRC) $(REPLICA_SRC) $(HOOK_SRC) router/main.c replica/main.c shard-map/ctl/main.c $(UNIT_SRC) $(TEST_SRC)
-include $(patsubst %.c,$(O)/%.d,$(DEPS_C))

.PHONY: all unit unit-tsan unit-bin clean deps demo check lint format headers model fuzz e2e
.SECONDARY:
.DELETE_ON_ERROR:
