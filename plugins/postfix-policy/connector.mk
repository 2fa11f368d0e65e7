# SPDX-License-Identifier: ISC
# The connector: static, and nothing of libc that loads libraries; see check-static. The sanitizers need a loader.

POSTFIX_LINK = $(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) $(if $(SANFLAGS),-pie,-static-pie -Wl,--fatal-warnings) $(LINKHARD) -Wl,-z,noexecstack -Wl,--gc-sections
POSTFIX_CHECK = $(if $(SANFLAGS),:,plugins/postfix-policy/check-static)

# Sections of their own, so that what nobody calls is left out.
$(B)/static/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -ffunction-sections -fdata-sections -c -o $@ $<

CONNECTOR_SRC = plugins/postfix-policy/connector.c plugins/postfix-policy/daemon.c plugins/postfix-policy/request.c \
	plugins/postfix-policy/spawned.c core/runtime/addr.c core/runtime/log.c core/runtime/log-stamp.c core/runtime/names.c
PLUGINS += $(B)/bin/sotto-connector
INSTALL_PLUGINS += install-postfix-connector

$(B)/bin/sotto-connector: $(CONNECTOR_SRC:%.c=$(B)/static/%.o) plugins/postfix-policy/check-static
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(POSTFIX_LINK) -o $@.new $(filter %.o,$^)
	$(Q)$(POSTFIX_CHECK) $@.new
	$(Q)mv $@.new $@

# Aside first: Postfix starts it at any moment.
install-postfix-connector:
	install -D -m 755 build/bin/sotto-connector $(DESTDIR)$(LIBEXECDIR)/sotto-connector.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-connector.new $(DESTDIR)$(LIBEXECDIR)/sotto-connector

.PHONY: install-postfix-connector

$(B)/tests/test-postfix-connector $(B)/tests/test-postfix-connector-client: | $(B)/bin/sotto-connector
