#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A back end is killed under load: the guest survives, and its programs get the errors Linux gives.
# killed.sh VIADUCT GUEST_RPMSG
set -eu
viaduct=$1
guest=$2
directory=$(mktemp -d)
trap 'kill -9 $device 2>/dev/null || :; rm -rf "$directory"' EXIT
device=

"$viaduct" device rpmsg,service=sink,service=echo --socket "$directory/rpmsg" --json \
    >"$directory/events" &
device=$!
until grep -q listening "$directory/events"; do sleep 0.02; done

# The guest's program says "ready" when it is about to write as fast as it can.
"$viaduct" linux --device "vhost-user:$directory/rpmsg,id=7" -- "$guest" orphan >"$directory/out" &
linux=$!
for _ in $(seq 1000); do
    grep -q ready "$directory/out" 2>/dev/null && break
    kill -0 "$linux" 2>/dev/null || break
    sleep 0.02
done
sleep 0.1
kill -9 "$device"
status=0
wait "$linux" || status=$?
cat "$directory/out"
[ "$status" = 0 ] || { echo "the guest's program ended with $status"; exit 1; }
grep -q 'the kernel lives' "$directory/out"
