SHIM_SOURCES := shim/config.c shim/protocol.c shim/ring.c shim/json-text.c shim/log-file.c \
	shim/json-log.c shim/loop.c shim/session.c shim/client.c shim/request.c shim/op.c \
	shim/record.c shim/oom.c shim/gone.c $(COMMON_SOURCES)

# The two files every logged byte goes through.
FLAGS_shim/json-text.c := -O3
FLAGS_shim/json-log.c := -O2

$(eval $(call program,gantry-shim,shim/main.c $(SHIM_SOURCES)))

$(eval $(call unit_test,json-text-test,shim/test/json-text-test.c shim/json-text.c))
$(eval $(call unit_test,log-file-test,shim/test/log-file-test.c shim/log-file.c $(COMMON_SOURCES)))
$(eval $(call unit_test,json-log-test,shim/test/json-log-test.c shim/json-log.c shim/json-text.c \
	shim/log-file.c $(COMMON_SOURCES)))
$(eval $(call unit_test,parts-test,shim/test/parts-test.c $(SHIM_SOURCES)))
$(eval $(call unit_test,protocol-test,shim/test/protocol-test.c shim/protocol.c $(COMMON_SOURCES)))

$(eval $(call fuzz_target,fuzz-request,shim/fuzz/fuzz-request.c shim/protocol.c $(COMMON_SOURCES)))
$(eval $(call fuzz_target,fuzz-config,shim/fuzz/fuzz-config.c $(SHIM_SOURCES)))
$(eval $(call fuzz_target,fuzz-json-log,shim/fuzz/fuzz-json-log.c shim/json-log.c shim/json-text.c \
	shim/log-file.c $(COMMON_SOURCES)))
