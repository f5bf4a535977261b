#!/usr/bin/env bash
# Start a tool with torchrun: torchrun.sh GPUS TOOL [arguments of the tool]
#
# GPUS counts the processes of this machine. The usual variables describe several
# machines: NNODES, NODE_RANK, MASTER_ADDR, PORT. On one machine without PORT a free
# port of the loopback is found: jobs do not meet, and the host's name need not resolve.
# PYTHON names the interpreter.
set -euo pipefail

gpus=$1
tool=$2
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
nnodes=${NNODES:-1}
if [[ $nnodes == 1 && -z ${PORT:-} ]]; then
    where=(--standalone --local_addr 127.0.0.1)
else
    where=(
        --nnodes "$nnodes"
        --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}"
        --master_port "${PORT:-29500}"
    )
fi
# In a work tree the package beside the tools is the one to run.
if [[ -d $tools/../mmseg_wsss ]]; then
    root=$(cd "$tools/.." && pwd)
    export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${where[@]}" \
    --nproc_per_node "$gpus" "$tools/$tool" "${@:3}" --launcher pytorch
