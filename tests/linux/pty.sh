#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A tty service behind a pty: bytes go both ways between a program in the guest and one on the host.
# pty.sh VIADUCT GUEST_TTY HOST_ECHO
set -eu
viaduct=$1
guest=$2
echo=$3
directory=$(mktemp -d)
host=
trap 'kill $host 2>/dev/null || :; rm -rf "$directory"' EXIT

"$echo" "$directory/tty" &
host=$!
"$viaduct" linux --device "rpmsg,service=tty:link=$directory/tty" -- "$guest" /dev/ttyRPMSG0 100000
[ ! -e "$directory/tty" ] || { echo "the link to the terminal was left behind"; exit 1; }
