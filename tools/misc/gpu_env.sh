#!/usr/bin/env bash
# Carry what the project needs to a GPU machine that has torch but no network.
#
#   tools/misc/gpu_env.sh fetch DIR      here, after make env: wheels, less than 10 MB
#   tools/misc/gpu_env.sh install DIR    there: into DIR/site, beside the machine's packages
#
# torch, numpy, OpenCV, matplotlib, pillow, packaging, rich, regex and scipy are
# expected there. PYTHON names the interpreter, PYTHON_VERSION (3.12) the one over there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage='usage: gpu_env.sh fetch|install DIR'
mode=${1:?$usage} folder=${2:?$usage}
FORKS=(onedl-mmcv onedl-mmsegmentation onedl-mmpretrain)
PLAIN=(onedl-mmengine addict ftfy importlib_metadata lazy-importer mat4py model-index
    modelindex ordered-set platformdirs prettytable termcolor wcwidth yapf zipp)

pin() {
    cat requirements/constraints-onedl.txt requirements/constraints.txt |
        sed -n "s/ *;.*//; s/^\($1==.*\)/\1/p" | head -n 1
}

case $mode in
fetch)
    python=${PYTHON:-.venv/bin/python}
    mkdir -p "$folder"
    echo '*' >"$folder/.gitignore"
    for name in "${FORKS[@]}"; do # without compiled ops they are plain Python
        MMCV_WITH_OPS=0 "$python" -m pip --no-input wheel -q --no-deps \
            --no-build-isolation -w "$folder" "$(pin "$name")"
    done
    for name in "${PLAIN[@]}"; do
        "$python" -m pip --no-input download -q --no-deps --only-binary=:all: \
            --python-version "${PYTHON_VERSION:-3.12}" -d "$folder" "$(pin "$name")"
    done
    du -ch "$folder"/*.whl | tail -n 1
    ;;
install)
    python=${PYTHON:-python3}
    "$python" -m pip --no-input install -q --no-index --no-deps --no-compile --upgrade \
        --target "$folder/site" "$folder"/*.whl
    site=$(cd "$folder/site" && pwd)
    PYTHONPATH=$site:$PWD "$python" -c 'import mmseg_wsss'
    echo "run: PYTHONPATH=$site:$PWD $python benchmarks/gpu_check.py --out FILE"
    ;;
*)
    echo "gpu_env.sh: expected fetch or install, got $mode" >&2
    exit 2
    ;;
esac
