# dynpipe: build with PGXS.  "make help" lists the targets.
EXTENSION   = dynpipe
EXTVERSION  = 0.1.0
MODULE_big  = dynpipe

SRCS        = $(sort $(wildcard src/*.c src/*/*.c))
OBJS        = $(SRCS:.c=.o)
SQL_PARTS   = $(sort $(wildcard src/sql/*.sql))
DATA_built  = dynpipe--$(EXTVERSION).sql
EXTRA_CLEAN = dynpipe--*.sql

REGRESS      = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=dynpipe

LIBS_PC     = rdkafka jansson yaml-0.1 yyjson
PG_CPPFLAGS = -I$(srcdir)/src $(shell pkg-config --cflags $(LIBS_PC))
PG_CFLAGS   = -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
              -Wno-missing-field-initializers -fvisibility=hidden
SHLIB_LINK  = $(shell pkg-config --libs $(LIBS_PC)) -lcsv

PG_CONFIG  ?= pg_config
PGXS       := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

dynpipe--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@
