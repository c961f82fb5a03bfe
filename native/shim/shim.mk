SHIM_SOURCES := shim/config.c shim/protocol.c shim/ring.c shim/json-text.c shim/log-file.c \
	shim/json-log.c shim/loop.c shim/session.c shim/client.c shim/request.c shim/op.c \
	shim/record.c shim/oom.c shim/gone.c $(COMMON_SOURCES)

# The two files every logged byte goes through.
FLAGS_shim/json-text.c := -O3
FLAGS_shim/json-log.c := -O2

$(eval $(call program,gantry-shim,shim/main.c $(SHIM_SOURCES)))
