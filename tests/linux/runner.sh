#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What `viaduct linux` and `viaduct kernel` promise, tried out.
#
# usage: runner.sh PATH_TO_VIADUCT [TEST...]
#
# Runs the tests named, or all; prints "ok NAME" or "not ok NAME" for each. Builds the kernel first
# if there is none, and compiles its helpers (runner_*.c) with $CC. Exit status 77 where the kernel
# can't run at all.
set -eu

[ "$(uname -sm)" = "Linux x86_64" ] || exit 77

here=$(cd "$(dirname "$0")" && pwd)
viaduct=$(realpath "$1")
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/runner-XXXXXX")
common=$work
trap 'rm -rf "$work"' EXIT

# ---- help ----
#
# Each test finds in $work/private (which is $TMPDIR) whatever a run failed to remove.

# A run that can't hang.
linux() {
	timeout -k 5 60 "$viaduct" linux "$@"
}

fail() {
	echo "$*" >&9 # the log of the test, wherever its output goes
	exit 1
}

expect() { # WHAT WANTED GOT
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

expect_status() { # WANTED COMMAND...
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	expect "status of $*" "$wanted" "$status"
}

contains() { # FILE TEXT
	grep -qF -- "$2" "$1" || { cat "$1" >&9; fail "not there: $2"; }
}

# Start viaduct in the background with its output in a pipe, and wait until the command says
# "ready". Leaves the process in $pid and the pipe in descriptor 3.
start_ready() {
	rm -f "$work/ready"
	mkfifo "$work/ready"
	set -m # or the shell would start it with SIGINT ignored
	"$viaduct" linux "$@" <&0 >"$work/ready" 2>"$work/err" &
	set +m
	pid=$!
	exec 3<"$work/ready"
	local line
	read -r -t 60 line <&3 || { cat "$work/err" >&9; fail "never ready"; }
	expect "first line" ready "$line"
}

kernels() { # processes of our kernels
	pgrep -f "uml_dir=$work/private" || true
}

# Something that comes true soon, though nothing tells when.
soon() {
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" && return
		sleep 0.05
	done
	fail "never came true: $*"
}

nothing_left() {
	[ -z "$(kernels)" ] && [ -z "$(ls -A "$work/private")" ]
}

helper() { # NAME: compile it once
	[ -x "$common/$1" ] || "${CC:-cc}" -O2 -D_GNU_SOURCE -o "$common/$1" "$here/$1.c"
	echo "$common/$1"
}

random() { # BYTES
	[ -e "$common/random-$1" ] || head -c "$1" /dev/urandom >"$common/random-$1"
	echo "$common/random-$1"
}

# Type ACTIONS (standard input) into a terminal that viaduct linux runs in.
terminal() {
	"$(helper runner_pty)" "$viaduct" linux "$@"
}

# ---- streams ----

test_streams_are_separate() {
	linux sh -c 'echo out; echo err >&2' >"$work/out" 2>"$work/err"
	expect stdout out "$(cat "$work/out")"
	expect stderr err "$(cat "$work/err")"
}

test_one_file_for_both_outputs_keeps_their_order() {
	local wanted
	wanted=$(for i in $(seq 200); do echo "o$i"; echo "e$i"; done)
	linux sh -c 'for i in $(seq 200); do echo "o$i"; echo "e$i" >&2; done' >"$work/out" 2>&1
	expect lines "$wanted" "$(cat "$work/out")"
}

test_binary_data_passes_through() {
	local file
	file=$(random 33554432)
	linux cat <"$file" >"$work/out"
	cmp "$file" "$work/out"
}

test_pipes_pass_as_well_as_files() {
	local file
	file=$(random 33554432)
	cat "$file" | linux cat | cat >"$work/out"
	cmp "$file" "$work/out"
}

test_three_streams_at_once() {
	local file
	file=$(random 33554432)
	cat "$file" | linux tee /dev/stderr 2>"$work/err" | cat >"$work/out"
	cmp "$file" "$work/out"
	cmp "$file" "$work/err"
}

test_small_writes() {
	seq 5000 >"$work/in"
	linux sh -c 'while read -r x; do echo "$x"; done | cat' <"$work/in" >"$work/out"
	cmp "$work/in" "$work/out"
}

test_nothing_is_lost_when_nobody_reads() {
	local file i
	file=$(random 33554432)
	"$viaduct" linux tee /dev/stderr <"$file" >"$work/out" 2>"$work/err" &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		kill -STOP "$pid" 2>/dev/null || break
		kill -CONT "$pid"
	done
	wait "$pid"
	cmp "$file" "$work/out"
	cmp "$file" "$work/err"
}

test_a_slow_reader_loses_nothing() {
	local file
	file=$(random 33554432)
	linux cat <"$file" | (head -c 100000; sleep 1; cat) >"$work/out"
	cmp "$file" "$work/out"
}

test_a_command_that_reads_nothing_can_be_signalled() {
	mkfifo "$work/in"
	yes >"$work/in" 2>/dev/null &
	start_ready sh -c 'trap "exit 9" TERM; echo ready; sleep 100 & wait' <"$work/in"
	kill -TERM "$pid"
	expect_status 9 wait "$pid"
}

test_sockets_as_streams() {
	command -v python3 >/dev/null || return 0
	python3 - "$viaduct" <<'EOF'
import socket, subprocess, sys, threading
ours, theirs = socket.socketpair()
run = subprocess.Popen([sys.argv[1], "linux", "cat"], stdin=theirs, stdout=theirs)
theirs.close()
data = bytes(range(256)) * 40000
def send():
    ours.sendall(data)
    ours.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b""
while True:
    piece = ours.recv(65536)
    if not piece:
        break
    got += piece
assert run.wait() == 0
assert got == data, (len(got), len(data))
EOF
}

test_end_of_input_arrives() {
	expect bytes 0 "$(linux wc -c </dev/null)"
	expect bytes 6 "$(echo hello | linux wc -c)"
}

test_end_of_output_arrives() {
	# The command closes its output and goes on; who reads it must not have to wait.
	mkfifo "$work/in" "$work/pipe"
	"$viaduct" linux sh -c 'echo said; exec >&-; read -r x; exit 6' <"$work/in" >"$work/pipe" &
	pid=$!
	exec 4>"$work/in"
	expect output said "$(cat "$work/pipe")"
	kill -0 "$pid" || fail "the command has ended too"
	exec 4>&-
	expect_status 6 wait "$pid"
}

test_a_closed_reader_ends_the_command() {
	set +e
	linux yes | head -1 >"$work/out"
	expect status 141 "${PIPESTATUS[0]}"
	expect output y "$(cat "$work/out")"
}

test_a_closed_input_ends_the_writer() {
	# yes(1) ends because the command closed its standard input, while the command runs.
	cd "$work"
	(
		yes || true
		touch writer-ended
	) 2>/dev/null |
		"$viaduct" linux sh -c 'exec <&-; while [ ! -e writer-ended ]; do sleep 0.05; done'
}

test_full_disk_is_no_success() {
	expect_status 125 linux echo hi 2>"$work/err" >/dev/full
	contains "$work/err" "No space left"
}

test_without_standard_streams() {
	linux sh -c 'cat; exit 4' <&- >&- 2>&- || [ $? = 4 ]
}

test_flags_of_shared_streams_stay() {
	command -v python3 >/dev/null || return 0
	# O_NONBLOCK on our pipe would hit everybody who shares it.
	mkfifo "$work/pipe"
	cat "$work/pipe" >/dev/null &
	(
		linux true
		python3 -c 'import fcntl, os, sys
sys.exit(bool(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK))'
	) >"$work/pipe"
}

# ---- exit status ----

test_exit_statuses() {
	expect_status 0 linux true
	expect_status 3 linux sh -c 'exit 3'
	expect_status 255 linux sh -c 'exit 255'
	expect_status 137 linux sh -c 'kill -KILL $$'
	expect_status 143 linux sh -c 'kill -TERM $$'
}

test_commands_that_cannot_be_run() {
	expect_status 127 linux no-such-command 2>"$work/err"
	contains "$work/err" no-such-command
	expect_status 127 linux /no/such/command 2>"$work/err"
	expect_status 126 linux /etc/passwd 2>"$work/err"
	contains "$work/err" /etc/passwd
	expect_status 126 linux /etc 2>"$work/err"
	# A directory that one may not look into is no place where commands are.
	mkdir -m 0 "$work/home/locked"
	PATH=$work/home/locked:$PATH expect_status 127 linux no-such-command 2>"$work/err"
	rmdir "$work/home/locked"
}

test_usage_errors() {
	expect_status 125 linux </dev/null 2>"$work/err"
	contains "$work/err" "command"
	expect_status 125 linux --no-such-option true 2>"$work/err"
	expect_status 125 linux --mem 12Q true 2>"$work/err"
	contains "$work/err" 12Q
	expect_status 125 linux --device nonsense true 2>"$work/err"
	contains "$work/err" nonsense
	expect_status 125 linux --device rpmsg,off=GRAVITY true 2>"$work/err"
	contains "$work/err" off=GRAVITY
	expect_status 125 linux --device rpmsg,service=tty,service=nonsense true 2>"$work/err"
	contains "$work/err" service=nonsense
	expect_status 125 linux --share /no/such/dir true 2>"$work/err"
	contains "$work/err" /no/such/dir
	linux --help >"$work/out"
	contains "$work/out" vhost-user
}

# ---- what the command finds ----

test_working_directory() {
	cd /usr/share
	expect cwd /usr/share "$(linux pwd)"
}

test_environment() {
	export RUNNER_VARIABLE=$'one\ntwo  three'
	expect variable "$RUNNER_VARIABLE" "$(linux sh -c 'printf %s "$RUNNER_VARIABLE"')"
	expect all "A=b c" "$(env -i HOME="$HOME" "A=b c" "$viaduct" linux env | grep ^A=)"
}

test_large_environment_and_command_line() {
	BIG=$(head -c 100000 /dev/zero | tr '\0' x)
	export BIG
	expect length 100000 "$(linux sh -c 'echo ${#BIG}')"
	expect count 20000 "$(linux sh -c 'echo $#' sh $(seq 20000))"
}

test_arguments_arrive_as_they_are() {
	linux printf '[%s]' '' 'a b' $'new\nline' "it's" '"' '$x' >"$work/out"
	expect arguments $'[][a b][new\nline][it\'s]["][$x]' "$(cat "$work/out")"
	linux echo --verbose -- -x >"$work/out"
	expect options "--verbose -- -x" "$(cat "$work/out")"
	expect dashes hi "$(linux -- echo hi)"
}

test_umask() {
	(umask 027 && expect umask 0027 "$(linux sh -c umask)")
	(umask 0 && expect umask 0000 "$(linux sh -c umask)")
}

test_command_is_root_and_alone() {
	expect uid 0 "$(linux id -u)"
	expect kernel Linux "$(linux uname -s)"
	expect name "$(uname -n)" "$(linux uname -n)"
	linux ps -e >"$work/out"
	contains "$work/out" init
}

test_no_zombies_inside() {
	linux sh -c 'for i in 1 2 3 4 5; do (sleep 0.01 &); done; sleep 0.3; ps -e -o stat=' >"$work/out"
	! grep -q Z "$work/out" || fail "zombies: $(cat "$work/out")"
}

test_memory_size() {
	local kilobytes
	kilobytes=$(linux --mem 256M awk '/MemTotal/ { print $2 }' /proc/meminfo)
	[ "$kilobytes" -gt 240000 ] && [ "$kilobytes" -le 262144 ] || fail "256M: $kilobytes"
	kilobytes=$(linux --mem 65536K awk '/MemTotal/ { print $2 }' /proc/meminfo)
	[ "$kilobytes" -gt 50000 ] && [ "$kilobytes" -le 65536 ] || fail "65536K: $kilobytes"
}

test_sleep_is_precise() {
	# With a tick of 10 ms as the unit this takes more than a second.
	linux bash -c 'mkfifo /tmp/f; exec 3<>/tmp/f; best=9999999
		for try in 1 2 3 4 5; do
			start=${EPOCHREALTIME/./}
			for ((i = 0; i < 100; i++)); do read -r -t 0.001 x <&3; done
			took=$((${EPOCHREALTIME/./} - start))
			((took < best)) && best=$took
		done
		echo $best' >"$work/out"
	[ "$(cat "$work/out")" -lt 700000 ] || fail "100 times 1 ms took $(cat "$work/out") us"
}

# ---- files ----

test_root_is_read_only() {
	cd "$work/home"
	! linux sh -c 'echo x >file' 2>"$work/err" || fail "could write"
	contains "$work/err" "Read-only"
	! linux touch /etc/runner-test 2>/dev/null || fail "could write to /etc"
	[ ! -e "$work/home/file" ]
}

test_rw_writes_to_the_host() {
	cd "$work/home"
	linux --rw sh -c 'umask 022; echo hello >file; mkdir dir; mv file dir/moved; ln -s moved dir/link
		chmod 750 dir'
	expect contents hello "$(cat dir/moved)"
	expect link moved "$(readlink dir/link)"
	expect mode 750 "$(stat -c %a dir)"
	linux --rw sh -c "head -c 5000000 /dev/urandom >big; sha1sum <big" >"$work/sum"
	expect checksum "$(cat "$work/sum")" "$(sha1sum <big)"
	linux --rw rm -r dir big
	expect rest "" "$(ls)"
}

test_rw_keeps_the_umask() {
	cd "$work/home"
	(umask 077 && linux --rw touch private)
	expect mode 600 "$(stat -c %a private)"
	(umask 022 && linux --rw sh -c 'umask 0; touch public')
	expect mode 666 "$(stat -c %a public)"
	rm private public
}

test_fresh_directories() {
	cd /
	expect tmp "" "$(linux ls -A /tmp)"
	expect run "" "$(linux ls -A /run)"
	expect shm "" "$(linux ls -A /dev/shm)"
	linux sh -c 'echo a >/tmp/a; echo b >/run/b; echo c >/dev/shm/c; cat /tmp/a /run/b /dev/shm/c' \
		>"$work/out"
	expect contents "a b c" "$(tr '\n' ' ' <"$work/out" | sed 's/ $//')"
	[ ! -e /tmp/a ] || fail "it is on the host"
	expect pts "ptmx" "$(linux ls /dev/pts)"
	linux test -r /proc/self/status -a -d /sys/bus/virtio
}

# A tree below /tmp, whatever $TMPDIR is: with a directory to stand in and a program beside it.
make_clone() {
	clone=$(mktemp -d /tmp/runner-clone-XXXXXX)
	mkdir -p "$clone/build/tests" "$clone/src"
	echo source >"$clone/src/file"
	printf '#!/bin/sh\ncat "$(dirname "$0")/../src/file"\n' >"$clone/build/program"
	chmod +x "$clone/build/program"
}

test_a_clone_below_tmp() {
	make_clone
	(
		cd "$clone/build/tests"
		expect cwd "$clone/build/tests" "$(linux pwd)"
		expect neighbour source "$(linux cat ../../src/file)"
		expect "the rest of /tmp" "$(basename "$clone")" "$(linux ls /tmp)"
		! linux touch ../new 2>/dev/null || fail "could write"
		linux --rw touch ../new
		[ -e ../new ] || fail "could not write with --rw"
	)
	rm -r "$clone"
}

test_a_command_below_tmp() {
	make_clone
	cd /
	expect output source "$(linux "$clone/build/program")"
	expect "on PATH" source "$(PATH=$clone/build:$PATH linux program)"
	ln -s "$clone/build/program" "$work/home/link"
	expect_status 0 linux test -x "$work/home/link" -o ! -e "$clone"
	rm -r "$clone" "$work/home/link"
}

test_share() {
	make_clone
	cd /
	expect_status 1 linux cat "$clone/src/file" 2>/dev/null
	expect shared source "$(linux --share "$clone/src" cat "$clone/src/file")"
	expect "only that" src "$(linux --share "$clone/src" ls "$clone")"
	expect two "source" "$(linux --share "$clone/src" --share "$clone/build" "$clone/build/program")"
	expect "all of /tmp" source "$(linux --share /tmp cat "$clone/src/file")"
	expect "one file" source "$(linux --share "$clone/src/file" cat "$clone/src/file")"
	linux --share /usr true
	rm -r "$clone"
}

test_shm_can_be_shared() {
	[ -w /dev/shm ] || return 0
	local directory
	directory=$(mktemp -d /dev/shm/runner-XXXXXX)
	echo x >"$directory/file"
	(cd "$directory" && expect contents x "$(linux cat file)")
	rm -r "$directory"
}

# ---- devices ----

test_dev() {
	local name
	for name in null zero full random urandom tty console ptmx uinput kmsg; do
		linux test -c "/dev/$name" || fail "no /dev/$name"
	done
	for name in fd stdin stdout stderr; do
		linux test -e "/dev/$name" || fail "no /dev/$name"
	done
	linux test -d /dev/pts -a -d /dev/shm
	expect mode 666 "$(linux stat -c %a /dev/null)"
	linux sh -c 'echo x >/dev/null; head -c 8 /dev/urandom >/tmp/r; test -s /tmp/r'
}

test_dev_follows_the_kernel() {
	linux "$(helper runner_uinput)"
}

test_device_is_attached() {
	local listen
	listen=$(helper runner_listen)
	mkfifo "$work/said"
	# A path as bad as they come: the kernel would stop at the colon, and split at the space.
	"$listen" "$work/a b:c,d.sock" >"$work/said" &
	exec 3<"$work/said"
	read -r line <&3
	expect first listening "$line"
	linux --device "vhost-user:$work/a b:c,d.sock,id=3" ls /sys/bus/platform/devices >"$work/out"
	read -r line <&3
	expect second "request 3" "$line" # SET_OWNER
	contains "$work/out" virtio-uml.0
}

test_absent_device() {
	linux --device "vhost-user:$work/none,id=7" --device "vhost-user:$work/none,id=3" \
		ls /sys/bus/platform/devices >"$work/out" 2>"$work/err"
	contains "$work/err" "$work/none"
	contains "$work/out" virtio-uml.0
	contains "$work/out" virtio-uml.1
}

test_modules_load() {
	local insmod modules
	insmod=$(PATH=$PATH:/usr/sbin:/sbin command -v insmod) || return 0
	modules=$("$viaduct" kernel path --modules)
	linux sh -c "'$insmod' '$modules/rpmsg_client_sample.ko' && cat /proc/modules" >"$work/out"
	contains "$work/out" rpmsg_client_sample
}

# ---- the end ----

test_background_children_do_not_keep_it() {
	SECONDS=0
	expect output hi "$(linux sh -c 'sleep 100 & nohup setsid sleep 100 & echo hi')"
	[ "$SECONDS" -lt 10 ] || fail "took $SECONDS s"
}

test_nothing_is_left() {
	(
		cd "$work/home"
		export HOME=$work/home XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
		linux true
		expect_status 127 linux no-such-command 2>/dev/null
		expect_status 125 linux --mem 1M true 2>/dev/null
	)
	soon nothing_left
	expect home "" "$(ls -A "$work/home")"
}

test_sigterm_passes() {
	start_ready sh -c 'trap "echo got it; exit 7" TERM; echo ready; sleep 100 & wait'
	kill -TERM "$pid"
	expect output "got it" "$(cat <&3)"
	expect_status 7 wait "$pid"
}

test_sigint_and_sighup_pass() {
	local name
	for name in INT HUP USR1; do
		start_ready sh -c "trap 'exit 8' $name; echo ready; sleep 100 & wait"
		kill -"$name" "$pid"
		expect_status 8 wait "$pid"
	done
	# Without a trap they end it.
	start_ready sh -c 'echo ready; sleep 100'
	kill -HUP "$pid"
	expect_status 129 wait "$pid"
}

test_second_sigterm_kills() {
	start_ready sh -c 'trap "" TERM; echo ready; while :; do sleep 1; done'
	kill -TERM "$pid"
	kill -0 "$pid" || fail "the first one was enough"
	# Two in a row may be taken for one.
	soon sh -c "! kill -TERM $pid 2>/dev/null"
	expect_status 143 wait "$pid"
	soon nothing_left
}

test_impatient_sigint_kills() {
	start_ready sh -c 'trap "" INT; echo ready; while :; do sleep 1; done'
	kill -INT "$pid"
	sleep 2.2
	kill -INT "$pid"
	expect_status 130 wait "$pid"
}

test_sigint_that_is_answered_does_not_kill() {
	start_ready sh -c 'trap "echo yes" INT; echo ready; while :; do sleep 0.1; done'
	kill -INT "$pid"
	read -r line <&3
	expect answer yes "$line"
	sleep 2.2
	kill -INT "$pid"
	read -r line <&3
	expect answer yes "$line"
	kill -KILL "$pid"
	wait "$pid" || true
}

test_ignored_signals_stay_ignored() {
	(
		trap '' HUP
		expect_status 3 "$viaduct" linux sh -c 'kill -HUP $$; exit 3'
	)
	expect_status 129 linux sh -c 'kill -HUP $$; exit 3'
}

test_sigkill_leaves_nothing() {
	start_ready sh -c 'echo ready; sleep 100'
	[ -n "$(kernels)" ] || fail "where is the kernel?"
	kill -KILL "$pid"
	expect_status 137 wait "$pid" 2>/dev/null
	soon nothing_left
}

test_sigkill_while_booting_leaves_nothing() {
	local i
	for ((i = 0; i < 20; i++)); do
		"$viaduct" linux true &
		pid=$!
		# Each time at another moment.
		head -c "$((i * 1000000))" /dev/zero | cksum >/dev/null
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	soon nothing_left
}

test_a_dying_kernel_is_explained() {
	start_ready sh -c 'echo ready; sleep 100'
	kill -KILL $(kernels)
	expect_status 125 wait "$pid"
	contains "$work/err" "ended before the command did"
	contains "$work/err" "as init process"
	soon nothing_left
}

test_a_kernel_that_cannot_boot_is_explained() {
	expect_status 125 linux --mem 1M true 2>"$work/err"
	contains "$work/err" "Too few physical memory"
	contains "$work/err" "before it started the command"
	soon nothing_left
}

test_the_command_may_turn_the_machine_off() {
	command -v python3 >/dev/null || return 0
	local reboot='import ctypes; ctypes.CDLL(None).reboot'
	expect_status 125 linux python3 -c "$reboot(0x4321fedc)" 2>"$work/err"
	expect_status 125 linux python3 -c "$reboot(0x01234567)" 2>"$work/err"
}

test_verbose_shows_kernel_messages() {
	linux --verbose true 2>"$work/err"
	contains "$work/err" "Linux version"
	linux true 2>"$work/err"
	expect silent "" "$(cat "$work/err")"
}

# ---- terminals ----

test_terminal() {
	terminal sh <<'EOF'
pause
send stty size; tty; echo $((40+2))\n
expect 24 80
expect /dev/pts/0
expect 42
resize 33 99
pause
send stty size\n
expect 33 99
send sleep 100\n
pause
send \003
pause
send echo after-$?\n
expect after-130
send exit 7\n
end 7
EOF
}

test_shell_without_command() {
	SHELL=/bin/sh terminal <<'EOF'
pause
send echo $((6*7))\n
expect 42
send \004
end 0
EOF
}

test_terminal_output_may_go_elsewhere() {
	"$(helper runner_pty)" /bin/sh -c "'$viaduct' linux sh -c 'tty; test -t 1 || echo piped; test -t 2 && echo terminal >&2' | sed s/^/=/" <<'EOF'
expect =/dev/pts/0
expect =piped
end 0
EOF
}

test_terminal_is_restored_after_sigkill() {
	terminal sh <<'EOF'
pause
signal 9
end 137
EOF
	soon nothing_left
}

test_terminal_is_restored_after_sigterm() {
	terminal sleep 100 <<'EOF'
pause
signal 15
end 143
EOF
}

test_terminal_is_restored_after_errors() {
	terminal no-such-command <<'EOF'
expect No such file
end 127
EOF
	terminal --mem 1M true <<'EOF'
expect before it started the command
end 125
EOF
}

test_hangup_ends_the_command() {
	terminal sh <<'EOF'
pause
hangup
end 129
EOF
	soon nothing_left
}

test_keys_arrive_as_they_are() {
	terminal sh -c 'stty raw -echo; echo ready; head -c 6 | od -An -tx1' <<'EOF'
expect ready
send \001\003\015\032\034\377
expect 01 03 0d 1a 1c ff
end 0
EOF
}

# ---- not root ----

test_another_user() {
	[ "$(id -u)" = 0 ] || return 0
	local cache=/tmp/runner-user-$$
	# Somewhere that nobody may read: program, first process, kernel.
	mkdir -p "$cache/bin" "$cache/guest-init" "$cache/home/.cache/viaduct"
	cp "$viaduct" "$cache/bin/viaduct"
	cp "$(dirname "$viaduct")/../guest-init/guest-init" "$cache/guest-init/" 2>/dev/null ||
		cp "$(dirname "$viaduct")/../libexec/viaduct/guest-init" "$cache/guest-init/"
	cp -r "$(dirname "$("$viaduct" kernel path)")" "$cache/home/.cache/viaduct/"
	chown -R nobody: "$cache/home"
	as_nobody() {
		(cd "$cache/home" && env -u XDG_CACHE_HOME -u TMPDIR HOME="$cache/home" timeout -k 5 60 \
			setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$cache/bin/viaduct" linux "$@")
	}
	expect id 0 "$(as_nobody id -u)"
	expect echo hello "$(echo hello | as_nobody cat)"
	expect_status 1 as_nobody cat /etc/shadow 2>/dev/null
	as_nobody --rw touch mine
	expect owner 65534 "$(stat -c %u "$cache/home/mine")"
	rm -r "$cache"
}

# ---- the kernel ----

test_kernel_path() {
	[ -x "$("$viaduct" kernel path)" ]
	[ -e "$("$viaduct" kernel path --modules)/rpmsg_client_sample.ko" ]
	"$viaduct" kernel path --json >"$work/out"
	contains "$work/out" '"built": true'
	export XDG_CACHE_HOME=$work/empty
	expect_status 1 "$viaduct" kernel path 2>"$work/err"
	contains "$work/err" "viaduct kernel build"
	expect_status 1 "$viaduct" kernel path --json >"$work/out"
	contains "$work/out" '"built": false'
	[ ! -e "$work/empty" ] || fail "looking made a directory"
	expect_status 2 "$viaduct" kernel frobnicate 2>"$work/err"
}

test_kernel_is_built_once() {
	"$viaduct" kernel build 2>"$work/err"
	contains "$work/err" "is ready"
	! grep -q compiling "$work/err" || fail "built again"
}

test_kernel_names_missing_packages() {
	mkdir "$work/tools" "$work/cache"
	for tool in make gcc ld tar bison; do
		ln -s "$(command -v "$tool" || echo /bin/true)" "$work/tools/$tool"
	done
	expect_status 1 env XDG_CACHE_HOME="$work/cache" PATH="$work/tools" "$viaduct" kernel build \
		2>"$work/err"
	contains "$work/err" "apt install bc flex xz-utils"
	expect_status 1 env XDG_CACHE_HOME="$work/cache" "$viaduct" kernel build \
		--source /no/such/archive 2>"$work/err"
	contains "$work/err" /no/such/archive
	expect cache "" "$(ls -A "$work/cache")"
}

# A source that is built in no time: its Makefile has the RULES given. Leaves its name in $source,
# and sets up an empty cache.
make_source() { # RULES for "all" and "allnoconfig"
	source=$work/linux-source-0.tar.xz
	mkdir -p "$work/linux-source-0"
	{
		printf 'VERSION = 0\nPATCHLEVEL = 1\nSUBLEVEL = 2\n\n'
		cat
	} >"$work/linux-source-0/Makefile"
	tar -C "$work" -cJf "$source" linux-source-0
	export XDG_CACHE_HOME=$work/cache
}

# One that works. It waits for something to read in $GATE before it is done.
make_good_source() {
	make_source <<'EOF'
all:
	@echo "  CC      something"
	@echo built >>$(LOG)
	@cat $(GATE) >/dev/null
	@mkdir -p $(O)/samples/rpmsg
	@echo module >$(O)/samples/rpmsg/rpmsg_client_sample.ko
	@cp /bin/true $(O)/linux
allnoconfig:
	@cp $(KCONFIG_ALLCONFIG) $(O)/.config
EOF
	export GATE=/dev/null LOG=$work/built
}

test_kernel_build_failure_is_explained() {
	make_source <<'EOF'
allnoconfig:
	@echo on purpose; false
EOF
	expect_status 1 "$viaduct" kernel build --source "$source" 2>"$work/err"
	contains "$work/err" "on purpose"
	contains "$work/err" "$work/cache/viaduct/build.log"
	contains "$work/cache/viaduct/build.log" "on purpose"
	[ ! -e "$work/cache/viaduct/building" ] || fail "left its work"
	"$viaduct" kernel clean
	expect cache "" "$(ls -A "$work/cache")"
}

test_kernel_that_lacks_an_option_is_refused() {
	make_source <<'EOF'
allnoconfig:
	@grep -v VIRTIO_CONSOLE $(KCONFIG_ALLCONFIG) >$(O)/.config
EOF
	expect_status 1 "$viaduct" kernel build --source "$source" 2>"$work/err"
	contains "$work/err" CONFIG_VIRTIO_CONSOLE=y
	! ls -d "$work"/cache/viaduct/kernel-* 2>/dev/null || fail "kept it"
}

test_kernel_build() {
	make_good_source
	"$viaduct" kernel build --source "$source" 2>"$work/err"
	contains "$work/err" "compiling Linux 0.1.2: done"
	expect version '"0.1.2"' "$("$viaduct" kernel path --json | sed -n 's/.*"version": \(.*\),/\1/p')"
	expect contents ".config build.log linux modules source" \
		"$(ls -A "$(dirname "$("$viaduct" kernel path)")" | tr '\n' ' ' | sed 's/ $//')"
	expect cache "$(basename "$(dirname "$("$viaduct" kernel path)")") lock" \
		"$(ls -A "$work/cache/viaduct" | tr '\n' ' ' | sed 's/ $//')"
	# Once is enough, unless it was asked for or the source is another.
	"$viaduct" kernel build --source "$source" 2>/dev/null
	expect builds 1 "$(wc -l <"$LOG")"
	"$viaduct" kernel build --source "$source" --force 2>/dev/null
	expect builds 2 "$(wc -l <"$LOG")"
	touch -d tomorrow "$source"
	"$viaduct" kernel build --source "$source" 2>/dev/null
	expect builds 3 "$(wc -l <"$LOG")"
	"$viaduct" kernel clean
	expect "cache after clean" "" "$(ls -A "$work/cache")"
	"$viaduct" kernel clean
}

test_two_kernel_builds_at_once() {
	make_good_source
	mkfifo "$work/gate"
	GATE=$work/gate "$viaduct" kernel build --source "$source" 2>/dev/null &
	local first=$!
	exec 4>"$work/gate" # opens when the first one compiles
	"$viaduct" kernel build --source "$source" 2>"$work/said" 4>&- &
	local second=$!
	soon grep -q waiting "$work/said"
	exec 4>&-
	wait "$first"
	wait "$second"
	expect builds 1 "$(wc -l <"$LOG")"
}

test_kernel_build_shows_progress() {
	make_good_source
	"$(helper runner_pty)" "$viaduct" kernel build --source "$source" <<'EOF'
expect compiling Linux 0.1.2: done
expect is ready
end 0
EOF
}

test_interrupted_kernel_build_leaves_nothing() {
	local signal
	make_good_source
	mkfifo "$work/gate"
	for signal in INT TERM HUP; do
		set -m # or the shell would start it with SIGINT ignored
		GATE=$work/gate "$viaduct" kernel build --source "$source" 2>"$work/err" &
		set +m
		pid=$!
		exec 4>"$work/gate" # opens when it compiles
		kill -"$signal" "$pid"
		expect_status $((128 + $(kill -l "$signal"))) wait "$pid"
		exec 4>&-
		contains "$work/err" interrupted
		expect cache "build.log lock" "$(ls -A "$work/cache/viaduct" | tr '\n' ' ' | sed 's/ $//')"
	done
}

test_killed_kernel_build_leaves_no_kernel() {
	make_good_source
	mkfifo "$work/gate"
	GATE=$work/gate "$viaduct" kernel build --source "$source" 2>"$work/err" &
	pid=$!
	exec 4>"$work/gate" # opens when it compiles
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	exec 4>&-
	expect_status 1 "$viaduct" kernel path 2>/dev/null
	# It could not clean up. The next one does, when what still ran has ended.
	"$viaduct" kernel build --source "$source" 2>/dev/null
	expect cache "$(basename "$(dirname "$("$viaduct" kernel path)")") lock" \
		"$(ls -A "$work/cache/viaduct" | tr '\n' ' ' | sed 's/ $//')"
}

# ---- all of them ----

all_tests() {
	declare -F | sed -n 's/^declare -f test_//p'
}

run() { # in a short directory of its own, and in a shell that stops at the first failure
	local status=0 started=$EPOCHREALTIME
	mkdir -p "$work/t/private" "$work/t/home"
	set +e
	(
		set -eu
		work=$work/t
		export TMPDIR=$work/private
		"test_$1"
	) >"$work/log" 9>&1 2>&1 </dev/null
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "ok $1 # $(((${EPOCHREALTIME/./} - ${started/./}) / 1000)) ms"
	else
		echo "not ok $1"
		sed 's/^/# /' "$work/log"
		failed=1
	fi
	rm -rf "$work/t"
}

failed=0
"$viaduct" kernel path >/dev/null 2>&1 || "$viaduct" kernel build
[ $# -gt 0 ] || set -- $(all_tests)
for name in "$@"; do
	run "$name"
done
exit $failed
