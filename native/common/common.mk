$(eval $(call unit_test,err-test,common/err-test.c $(COMMON_SOURCES)))
