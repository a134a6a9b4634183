#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Slurm cluster of this machine alone, on loopback, with everything it writes in one directory:
#   tests/sim/slurm_cluster.sh start DIR    then: export SLURM_CONF=DIR/slurm.conf
#   tests/sim/slurm_cluster.sh stop DIR     ends its jobs and daemons; DIR stays, with their logs
# Exit status 77 and what to install if Slurm or munge is not there.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

usage() { sed -n '3,6s/^# \{0,1\}//p' "$0"; exit "$1"; }
case "${1:-}" in -h|--help) usage 0 ;; esac
[ $# = 2 ] || usage 2
for program in munged slurmctld slurmd sbatch; do
  command -v "$program" > /dev/null || { echo "no $program here: apt-get install slurm-wlm munge"; exit 77; }
done
mkdir -p "$2"
directory=$(cd "$2" && pwd)
export SLURM_CONF=$directory/slurm.conf

# until SECONDS COMMAND...: true as soon as the command is.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
gone() { ! kill -0 "$1"; }

stop() {
  local daemon pid
  [ ! -f "$SLURM_CONF" ] || timeout 10 scancel --user "$(id -un)" > /dev/null 2>&1 || true
  for daemon in slurmd slurmctld munged; do
    pid=$(cat "$directory/$daemon.pid" 2> /dev/null) || continue
    rm -f "$directory/$daemon.pid"
    # A number that another process has by now is not ours to end.
    [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "$daemon" ] || continue
    kill "$pid" 2> /dev/null || continue
    until_true 10 gone "$pid" || kill -9 "$pid"
  done
}

configure() {
  local control node
  read -r control node < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
  mkdir -p "$directory/state" "$directory/spool"
  # Neither control groups nor accounting: a container gives us neither.
  cat > "$SLURM_CONF" << END
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$control
SlurmdPort=$node
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$directory/munge.socket
StateSaveLocation=$directory/state
SlurmdSpoolDir=$directory/spool
SlurmctldPidFile=$directory/slurmctld.pid
SlurmdPidFile=$directory/slurmd.pid
SlurmctldLogFile=$directory/slurmctld.log
SlurmdLogFile=$directory/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
END
}

start() {
  stop
  chmod 755 "$directory"  # or munged takes it for unsafe
  configure
  (umask 077 && head -c 128 /dev/urandom > "$directory/munge.key")
  munged --force --socket="$directory/munge.socket" --key-file="$directory/munge.key" \
    --pid-file="$directory/munged.pid" --log-file="$directory/munged.log" --seed-file="$directory/munged.seed"
  slurmctld -c
  slurmd -N localhost
  until_true 30 sh -c 'sinfo --noheader --format=%T | grep -qx idle'
}

case "$1" in
  start) start || { stop; echo "the cluster does not come up; see the logs in $directory"; tail -5 "$directory"/*.log; exit 1; } ;;
  stop) stop ;;
  *) usage 2 ;;
esac
