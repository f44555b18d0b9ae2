#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What `viaduct device` promises to whoever starts it: its socket, its exit statuses, its reports.
#
# usage: device.sh VIADUCT
set -eu
viaduct=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/device-XXXXXX")
device=
trap '[ -z "$device" ] || kill -9 $device 2>/dev/null || :; rm -rf "$work"' EXIT
socket=$work/socket

fail() {
    echo "line ${BASH_LINENO[0]}: $*"
    cat "$work/out" "$work/err" 2>/dev/null
    exit 1
}

expect_status() { # WANTED ARGUMENT...
    local wanted=$1 status=0
    shift
    timeout 10 "$viaduct" device "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = "$wanted" ] || fail "'$*' ended with $status, not $wanted"
}

contains() { # FILE TEXT
    grep -qF -- "$2" "$work/$1" || fail "$1 does not say '$2'"
}

start() { # ARGUMENT...
    : >"$work/out"
    "$viaduct" device "$@" --socket "$socket" >"$work/out" 2>"$work/err" &
    device=$!
    until grep -q listening "$work/out" "$work/err"; do
        kill -0 "$device" 2>/dev/null || fail "it did not start"
        sleep 0.01
    done
}

expect_end() { # STATUS
    local status=0
    wait "$device" || status=$?
    device=
    [ "$status" = "$1" ] || fail "it ended with $status, not $1"
    [ ! -e "$socket" ] || fail "the socket is still there"
}

# A front end that says so much, as perl writes it, and leaves.
talk() { # BYTES
    perl -MIO::Socket::UNIX -e '
        my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!";
        syswrite($s, eval "qq{$ARGV[1]}"); $s->shutdown(1);
        1 while sysread($s, my $rest, 4096)' "$socket" "$1"
}

# Request 1, flags 1 (the version), no payload.
get_features='\1\0\0\0\1\0\0\0\0\0\0\0'

# ---- command lines that make no sense ----

expect_status 2
expect_status 2 rpmsg
contains err --socket
expect_status 2 nonsense --socket "$socket"
contains err nonsense
expect_status 2 rpmsg,colour=red --socket "$socket"
contains err colour=red
expect_status 2 rpmsg,off=GRAVITY --socket "$socket"
contains err off=GRAVITY
expect_status 2 rpmsg,size=3 --socket "$socket"
contains err size=3
expect_status 2 rpmsg,service=frobnicate --socket "$socket"
contains err service=frobnicate
# What was made before the mistake is taken down again.
expect_status 2 "rpmsg,service=echo,service=tty,service=tty:exec=exec sleep 99,service=echo@nowhere" --socket "$socket"
contains err echo@nowhere
expect_status 0 --help
contains out service=KIND

# ---- where it can't listen ----

expect_status 1 rpmsg --socket "$work/no/such/directory"
contains err "No such file"
touch "$work/file"
expect_status 1 rpmsg --socket "$work/file"
contains err "not a socket"
[ -f "$work/file" ] || fail "the file is gone"
expect_status 1 rpmsg --socket "$work/$(printf 'x%.0s' {1..200})"
expect_status 1 rpmsg,service=tty:link=/no/such/place --socket "$socket"
contains err /no/such/place

# ---- its life ----

start rpmsg,service=echo
expect_status 1 rpmsg --socket "$socket"
contains err "already"
kill -TERM "$device"
expect_end 0

start rpmsg --json
kill -INT "$device"
expect_end 0

# One that was killed left its socket behind.
start rpmsg
kill -9 "$device"
wait "$device" 2>/dev/null || :
[ -S "$socket" ] || fail "no socket"
start rpmsg
# Whoever only looks whether it is there is no front end; the one that comes then is.
talk ""
talk "$get_features"
expect_end 0

start rpmsg
talk "this is no vhost-user message at all"
expect_end 1
contains err "broke"

start rpmsg,service=echo --persist --json
talk "$get_features"
talk "nor is this one, and yet it goes on"
kill -USR1 "$device"
until grep -q '"event":"statistics"' "$work/out"; do sleep 0.01; done
talk "$get_features"
kill -TERM "$device"
expect_end 0
[ "$(grep -c '"event":"disconnected"' "$work/out")" = 3 ] || fail "not three were disconnected"
perl -MJSON::PP -ne 'BEGIN { $n = 0 } JSON::PP->new->decode($_); $n++; END { exit($n < 8) }' \
    <"$work/out" 2>"$work/err" || fail "not an object a line"

echo "viaduct device keeps its promises"
