# SPDX-License-Identifier: ISC
# The daemon: core/runtime and libevent, as sotto-session; and what asks Postfix for its configuration (site*.c).

POLICYD_SRC = $(addprefix plugins/postfix-policy/,policyd.c policyd-options.c service.c socketmap.c policy.c notify.c divert.c domains.c \
	hop-service.c sessions.c serving.c launch.c) $(wildcard plugins/postfix-policy/site*.c)
PLUGINS += $(B)/bin/sotto-policyd
INSTALL_PLUGINS += install-policyd

$(B)/bin/sotto-policyd: $(POLICYD_SRC:%.c=$(B)/obj/%.o) $(B)/lib/libsotto.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -o $@ $^ $(LIBS)

install-policyd:
	install -D -m 755 build/bin/sotto-policyd $(DESTDIR)$(LIBEXECDIR)/sotto-policyd.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-policyd.new $(DESTDIR)$(LIBEXECDIR)/sotto-policyd

.PHONY: install-policyd

# ---- tests: site.c is a fake there ----------------------------------------------------------------------

$(B)/tests/test-postfix-socketmap: WITH = plugins/postfix-policy/socketmap.c
$(B)/tests/test-postfix-policy: WITH = plugins/postfix-policy/policy.c
$(B)/tests/test-postfix-divert: WITH = $(addprefix plugins/postfix-policy/,divert.c domains.c socketmap.c)
$(B)/tests/test-postfix-hop: WITH = $(addprefix plugins/postfix-policy/,divert.c domains.c hop-service.c sessions.c launch.c socketmap.c)
$(B)/tests/test-postfix-service: WITH = plugins/postfix-policy/service.c
$(B)/tests/test-postfix-notify: WITH = plugins/postfix-policy/notify.c
$(B)/tests/test-postfix-launch: WITH = plugins/postfix-policy/launch.c
