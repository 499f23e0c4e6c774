#!/bin/sh
#
# What a configuration cannot do by itself, then the command, as process 1:
#
#   * NAME_FILE=/run/secrets/x stands for NAME=(what is in that file), for the
#     secrets below;
#   * the name servers of the container become nginx's "resolver", so that a
#     database whose address changes is found again.

set -eu

for name in PLATFORM_SECRET_KEY PGPASSWORD; do
    eval "file=\${${name}_FILE:-}"

    if [ -n "$file" ]; then
        value=$(cat "$file")
        export "$name=$value"
        unset "${name}_FILE"
    fi
done

awk '$1 == "nameserver" && $2 !~ /%/ {
         list = list " " ($2 ~ /:/ ? "[" $2 "]" : $2)
     }
     END { if (list) { print "resolver" list ";" } }' \
    /etc/resolv.conf > /tmp/resolver.conf

exec "$@"
