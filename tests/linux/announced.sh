#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The kernel announces a channel of its own: the device hears of it, and of its end.
# announced.sh VIADUCT GUEST_RPMSG
set -eu
viaduct=$1
guest=$2
directory=$(mktemp -d)
device=
trap 'kill $device 2>/dev/null || :; rm -rf "$directory"' EXIT

"$viaduct" device rpmsg,service=echo --socket "$directory/rpmsg" --persist --json \
    >"$directory/events" &
device=$!
until grep -q listening "$directory/events"; do sleep 0.02; done
"$viaduct" linux --device "vhost-user:$directory/rpmsg,id=7" -- "$guest" channel
kill -TERM "$device"
wait "$device"
device=
for created in true false; do
    n=$(grep '"event":"channel"' "$directory/events" | grep '"name":"rpmsg-raw"' |
        grep '"addr":2000' | grep -c "\"created\":$created")
    [ "$n" = 3 ] || { echo "created=$created was heard $n times, not 3"; cat "$directory/events"; exit 1; }
done
