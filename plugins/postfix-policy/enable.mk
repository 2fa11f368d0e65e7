# SPDX-License-Identifier: ISC
# What switches Sotto on in Postfix, and what systemd is to know. The manual page is installed with all others.

INSTALL_PLUGINS += install-postfix-enable

UNITDIR     = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d

install-postfix-enable:
	install -d $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	sed -e 's,/usr/libexec/sotto,$(LIBEXECDIR),g' plugins/postfix-policy/sotto-postfix > $(DESTDIR)$(LIBEXECDIR)/sotto-postfix.new
	chmod 755 $(DESTDIR)$(LIBEXECDIR)/sotto-postfix.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-postfix.new $(DESTDIR)$(LIBEXECDIR)/sotto-postfix
	sed -e 's,/usr/libexec/sotto,$(LIBEXECDIR),g' packaging/units/sotto-policyd.service > $(DESTDIR)$(UNITDIR)/sotto-policyd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/sotto-policyd.service
	install -m 644 packaging/sysusers/sotto.conf $(DESTDIR)$(SYSUSERSDIR)/sotto.conf
	install -m 644 packaging/tmpfiles/sotto-postfix.conf $(DESTDIR)$(TMPFILESDIR)/sotto-postfix.conf

.PHONY: install-postfix-enable
