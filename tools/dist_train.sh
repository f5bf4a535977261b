#!/usr/bin/env bash
# Train on several GPUs, or CPU processes: dist_train.sh CONFIG GPUS [train.py options]
#
# On several machines start it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [[ $# -lt 2 ]]; then
    echo "usage: [NNODES= NODE_RANK= MASTER_ADDR= PORT=] $0 CONFIG GPUS [options]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/misc/torchrun.sh" "$2" train.py "$1" "${@:3}"
