# SPDX-License-Identifier: ISC
# What Postfix's own configuration says; a part of sotto-policyd, and its tests.

SITE_SRC = $(wildcard plugins/postfix-policy/site*.c)

$(B)/tests/test-postfix-site: WITH = $(SITE_SRC) plugins/postfix-policy/launch.c
$(B)/tests/test-postfix-site-child: WITH = plugins/postfix-policy/site-child.c plugins/postfix-policy/launch.c
