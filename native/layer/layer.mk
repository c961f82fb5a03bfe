LAYER_TAR_SOURCES := layer/pax.c layer/tar-number.c layer/tar-sparse.c layer/tar-reader.c layer/tar-writer.c
LAYER_STREAM_SOURCES := layer/sha256.c layer/crc32.c layer/inflate-table.c layer/inflate.c layer/source.c
LAYER_TREE_SOURCES := layer/tree.c layer/remove.c layer/spool.c layer/whiteout.c layer/extract.c \
	layer/names.c layer/links.c layer/pack.c layer/compare.c layer/init.c layer/copy-tree.c \
	layer/overlay-mount.c
LAYER_SOURCES := $(LAYER_STREAM_SOURCES) $(LAYER_TAR_SOURCES) $(LAYER_TREE_SOURCES)

# Where the time goes; the rest is small.
FLAGS_layer/sha256.c := -O3
FLAGS_layer/inflate.c := -O2
FLAGS_layer/crc32.c := -O2
FLAGS_layer/source.c := -O2

$(eval $(call program,gantry-layer,$(LAYER_SOURCES) layer/args.c layer/json.c \
	layer/command-apply.c layer/command-tree.c layer/command-mount.c layer/command-serve.c \
	layer/main.c $(COMMON_SOURCES)))

$(eval $(call unit_test,layer-format-test,layer/format-test.c $(LAYER_STREAM_SOURCES) \
	$(LAYER_TAR_SOURCES) $(COMMON_SOURCES)))
$(eval $(call unit_test,layer-extract-test,layer/extract-test.c $(LAYER_SOURCES) $(COMMON_SOURCES)))
$(eval $(call fuzz_target,layer-tar,layer/fuzz-tar.c $(LAYER_STREAM_SOURCES) \
	$(LAYER_TAR_SOURCES) $(COMMON_SOURCES)))
$(eval $(call fuzz_target,layer-gunzip,layer/fuzz-gunzip.c $(LAYER_STREAM_SOURCES) $(COMMON_SOURCES)))
