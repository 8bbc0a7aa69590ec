#!/bin/sh
# Watches the primary named redis and makes its replica the primary when it stays away for two seconds.
set -eu
cat > /tmp/sentinel.conf <<CONF
port 26379
sentinel resolve-hostnames yes
sentinel monitor heliograph redis 6379 1
sentinel auth-pass heliograph $REDIS_PASSWORD
sentinel down-after-milliseconds heliograph 2000
sentinel failover-timeout heliograph 10000
requirepass $REDIS_PASSWORD
CONF
exec valkey-sentinel /tmp/sentinel.conf
