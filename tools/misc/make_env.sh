#!/usr/bin/env bash
# Create an environment and install what the project needs, as pinned in requirements/.
#
#   make env [ENV=extras|openmmlab] [PYTHON=python3.11] [WHEELHOUSE=DIR] [TORCH_ARGS='--index-url URL']
#
# Safe to interrupt and to repeat: the stamp .env-<hash of the pins> comes last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

stamp=${1:?usage: make_env.sh STAMP}
venv=${VENV:-.venv}
family=${FAMILY:-onedl}
py=$venv/bin/python
log=$venv/install.log
suitable='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'

say() { printf 'env: %s\n' "$*"; }

find_python() {
    local name
    for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.10 python3}; do
        if "$name" -c "$suitable" >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    say "no Python >= 3.10 with venv found (tried ${PYTHON:-python3.11, python3.12," \
        "python3.13, python3.10, python3}); install one (Debian: python3 and" \
        "python3-venv), or name one: make env PYTHON=/path/to/python3" >&2
    return 1
}

install() {
    "$py" -m pip --no-input install --retries 10 --progress-bar off \
        -c "requirements/constraints-$family.txt" "$@" >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        say "pip failed (the end of $log is above); the same command goes on" >&2
        return 1
    }
}

has_ops() { "$py" -c 'import mmcv.ops' >/dev/null 2>&1; }

install_openmmlab() {
    # mmseg 1.2.2 cannot be imported without mmcv's compiled ops, so mmcv comes with them.
    install -r <(grep -v '^mmcv' requirements/openmmlab.txt)
    tools/misc/build_mmcv_ops.sh
}

install_onedl() {
    local links=()
    if compgen -G "${WHEELHOUSE:-/nowhere}/onedl_mmcv-*.whl" >/dev/null; then
        links=(--find-links "$WHEELHOUSE")
    fi
    install ${links[@]+"${links[@]}"} -r requirements/onedl.txt
    if [[ ${#links[@]} -gt 0 ]] && ! has_ops; then
        say "no wheel in $WHEELHOUSE fits this Python and torch: mmcv comes without ops"
        install --force-reinstall --no-deps --no-binary onedl-mmcv onedl-mmcv
    fi
}

rm -f "$venv"/.env-*
# Stays behind only where an earlier run was killed, perhaps in the middle of a package.
busy=$venv/.busy
if [[ -e $busy ]] || ! "$py" -c "$suitable" >/dev/null 2>&1; then
    python=$(find_python)
    say "1/5 creating $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$venv"
else
    say "1/5 using $venv with $("$py" --version)"
fi
touch "$busy"
trap 'rm -f "$busy"' EXIT
say '2/5 installing torch (the largest download)'
install pip setuptools wheel
# shellcheck disable=SC2086  # several arguments on purpose
install ${TORCH_ARGS:-} torch
say "3/5 installing mmengine, mmcv, mmsegmentation and mmpretrain ($family)"
"install_$family"
say '4/5 installing what remains for running and testing'
install -r requirements/runtime.txt -r requirements/tests.txt
say '5/5 installing mmseg_wsss itself, editable'
install --no-deps --no-build-isolation -e .
touch "$stamp"
ops='without compiled ops (make env-ops adds them)'
if has_ops; then ops='with compiled ops'; fi
say "done: $venv, torch $("$py" -c 'import torch; print(torch.__version__)'), mmcv $ops"
