#!/usr/bin/env bash
# Start a tool on SLURM nodes: srun.sh PARTITION JOB_NAME TOOL [arguments of the tool]
#
# One SLURM task a node; each runs torchrun with that node's processes.
#   GPUS            processes in all (default 8)
#   GPUS_PER_NODE   at most so many on a node (default 8, or GPUS where that is less)
#   CPUS_PER_TASK   CPU cores a process (default 5)
#   SRUN_ARGS       further arguments of srun
#   PORT            port of the first node (default: from the job's number)
set -euo pipefail

partition=$1
job=$2
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
per_node=$((per_node < gpus ? per_node : gpus))
if ((gpus % per_node)); then
    echo "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node" >&2
    exit 2
fi
export NNODES=$((gpus / per_node))
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Expanded on the nodes, not here.
# shellcheck disable=SC2016
on_node='
export NODE_RANK=$SLURM_NODEID
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR
export PORT=${PORT:-$((20000 + SLURM_JOB_ID % 10000))}
exec "$@"'
# shellcheck disable=SC2086  # several arguments on purpose
exec srun --partition="$partition" --job-name="$job" --gres=gpu:"$per_node" \
    --nodes="$NNODES" --ntasks="$NNODES" --ntasks-per-node=1 \
    --cpus-per-task=$((${CPUS_PER_TASK:-5} * per_node)) --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    bash -c "$on_node" bash "$here/torchrun.sh" "$per_node" "${@:3}"
