#!/usr/bin/env bash
# Test on several GPUs, or CPU processes: dist_test.sh CONFIG CHECKPOINT GPUS [options]
#
# On several machines start it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: [NNODES= NODE_RANK= MASTER_ADDR= PORT=]" \
        "$0 CONFIG CHECKPOINT GPUS [options]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/misc/torchrun.sh" "$3" test.py "$1" "$2" "${@:4}"
