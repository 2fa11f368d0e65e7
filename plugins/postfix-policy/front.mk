# SPDX-License-Identifier: ISC
# The inbound front: static like the connector (connector.mk).

FRONT_SRC = plugins/postfix-policy/front.c plugins/postfix-policy/spawned.c plugins/postfix-policy/start.c \
	core/runtime/addr.c core/runtime/goodbye.c core/runtime/log.c core/runtime/log-stamp.c core/runtime/names.c core/runtime/pass.c core/runtime/proxy.c
PLUGINS += $(B)/bin/sotto-front
INSTALL_PLUGINS += install-postfix-front

$(B)/bin/sotto-front: $(FRONT_SRC:%.c=$(B)/static/%.o) plugins/postfix-policy/check-static
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(POSTFIX_LINK) -o $@.new $(filter %.o,$^)
	$(Q)$(POSTFIX_CHECK) $@.new
	$(Q)mv $@.new $@

# Aside first: Postfix starts it at any moment.
install-postfix-front:
	install -D -m 755 build/bin/sotto-front $(DESTDIR)$(LIBEXECDIR)/sotto-front.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-front.new $(DESTDIR)$(LIBEXECDIR)/sotto-front

.PHONY: install-postfix-front

$(B)/tests/test-postfix-front $(B)/tests/test-postfix-front-pass: | $(B)/bin/sotto-front
