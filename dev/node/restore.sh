#!/bin/sh
# restore.sh STATE [SETTING=VALUE…] -- CGROUP…: waits until its standard input ends, which is when the node is stopped or
# whoever started it has died in whatever way. Then puts the kernel's settings back and removes these cgroups with all below
# them, and the node's folder. Prints a line for each that it could not. Ends no process: the cgroups empty themselves when
# the node's namespaces end.
trap '' INT TERM HUP PIPE
while read -r _; do :; done
state=$1
shift
while [ "$1" != -- ]; do
  file=/proc/sys/${1%%=*} value=${1#*=}
  [ "$(cat "$file")" = "$value" ] || echo "$value" > "$file" || echo "the kernel setting ${1%%=*} is not $value again"
  shift
done
shift
tries=0
while [ $tries -lt 300 ]; do
  left=0
  for root in "$@"; do
    [ ! -d "$root" ] || find "$root" -depth -type d -exec rmdir {} \; 2> /dev/null
    [ ! -d "$root" ] || left=1
  done
  [ $left = 1 ] || break
  sleep 0.1
  tries=$((tries + 1))
done
for root in "$@"; do [ ! -d "$root" ] || echo "cgroup $root is still there"; done
rm -rf -- "$state" 2> /dev/null || { sleep 1; rm -rf -- "$state"; } || echo "the folder $state is still there"
