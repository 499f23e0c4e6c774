#!/bin/bash
#
# HEALTHCHECK: nginx answers.  It does so without its database, too: a node
# that can show what it has in its cache is not to be taken out.

exec 3<> /dev/tcp/127.0.0.1/9000 || exit 1
printf 'GET /softfactory/live HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 3 _ status _ <&3
[ "$status" = 200 ]
