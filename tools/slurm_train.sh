#!/usr/bin/env bash
# Train on a SLURM cluster:
#   [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] \
#   slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [train.py options]
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [WORK_DIR] [options]" >&2
    exit 2
fi
arguments=("$3")
rest=("${@:4}")
if [[ ${#rest[@]} -gt 0 && ${rest[0]} != -* ]]; then
    arguments+=(--work-dir "${rest[0]}")
    rest=("${rest[@]:1}")
fi
exec "$(dirname "${BASH_SOURCE[0]}")/misc/srun.sh" "$1" "$2" train.py \
    "${arguments[@]}" ${rest[@]+"${rest[@]}"}
