# dynpipe: build with PGXS.  "make help" lists the targets.
#
# "make", "make install" and "make installcheck" are PGXS's own and work on
# the server that PG_CONFIG names, also from a separate build folder.  The
# targets of SCRIPTED need nothing installed and use private servers only.
SCRIPTED = help setup test check demo demo-stop bench format test-debian

ifneq ($(filter $(SCRIPTED),$(MAKECMDGOALS)),)

.PHONY: $(SCRIPTED)
help:
	@echo "make                 build for the server that PG_CONFIG names"
	@echo "make install         install into it"
	@echo "make installcheck    run the regression tests on a running server"
	@echo "make setup           install what is needed to build and test (as root)"
	@echo "make test            setup, build, every test, in private clusters"
	@echo "make check           the source checks alone"
	@echo "make demo            a live pipeline from an embedded broker, 20 seconds, and files on S3"
	@echo "make demo-stop       remove the demo"
	@echo "make bench           throughput of streams and files against COPY, latency, listings"
	@echo "make format          format the C sources"
	@echo "make test-debian SUITE=trixie    build and test in a chroot of another Debian"
setup:
	@scripts/setup --test --broker --cloud
test check demo demo-stop bench format:
	@scripts/$@
test-debian:
	@scripts/test-debian $(SUITE)

else

EXTENSION   = dynpipe
EXTVERSION  = 0.1.0
MODULE_big  = dynpipe

SRCTOP      := $(or $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))),.)
in_tree      = $(patsubst $(SRCTOP)/%,%,$(sort $(wildcard $(addprefix $(SRCTOP)/,$(1)))))

OBJS        = $(patsubst %.c,%.o,$(call in_tree,src/*.c src/*/*.c))
SQL_PARTS   = $(addprefix $(SRCTOP)/,$(call in_tree,src/sql/*.sql))
DATA_built  = dynpipe--$(EXTVERSION).sql
DATA        = src/config/dynpipe.schema.json
EXTRA_CLEAN = dynpipe--*.sql $(OBJS:.o=.d)

REGRESS      = $(patsubst sql/%.sql,%,$(call in_tree,sql/*.sql))
# A database of its own kind, whatever the server's default is.
REGRESS_OPTS = --inputdir=$(SRCTOP) --load-extension=dynpipe --encoding=UTF8 --no-locale

LIBS_PC     = rdkafka jansson yaml-0.1 yyjson libcurl zlib libzstd
WERROR      = -Werror
# Only what PostgreSQL calls is exported; 15 does not mark that by itself.
PG_CPPFLAGS = -DPGDLLEXPORT='__attribute__((visibility("default")))' \
              -I$(SRCTOP)/src $(shell pkg-config --cflags $(LIBS_PC))
PG_CFLAGS   = -std=gnu11 -Wall -Wextra $(WERROR) -Wno-unused-parameter -Wno-sign-compare \
              -Wno-missing-field-initializers -fvisibility=hidden -MMD -MP
SHLIB_LINK  = $(shell pkg-config --libs $(LIBS_PC)) -lcsv

PG_CONFIG  ?= pg_config
PGXS       := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Objects keep their sources' folders; .d files name the headers they read.
$(shell mkdir -p $(sort $(dir $(OBJS))))
-include $(OBJS:.o=.d)

dynpipe--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@

endif
