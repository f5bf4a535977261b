#!/usr/bin/env bash
# Give the environment an mmcv with compiled ops: from a wheel, or compiled from source.
#
#   make env-ops [WHEELHOUSE=DIR] [MAX_JOBS=2]
#
# FAMILY says which mmcv: that of the OneDL forks (onedl, the default) or the original
# one (openmmlab; `make env-openmmlab` calls this script).
#
# Nearly all compile time is torch's headers, so they are precompiled (pch_cxx.sh):
# about 5 minutes on 2 idle cores instead of about 25. On a machine with CUDA the same
# command builds the CUDA ops; name the GPUs with TORCH_CUDA_ARCH_LIST.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${VENV:-.venv}
py=$venv/bin/python
log=$venv/install.log
family=${FAMILY:-onedl}
mmcv=mmcv
if [[ $family == onedl ]]; then mmcv=onedl-mmcv; fi

say() { printf 'env-ops: %s\n' "$*"; }

has_ops() { "$py" -c 'import mmcv.ops' >/dev/null 2>&1; }

install() {
    "$py" -m pip --no-input install --retries 10 --progress-bar off \
        -c "requirements/constraints-$family.txt" "$@" >>"$log" 2>&1
}

if has_ops; then
    say 'mmcv has its compiled ops already; nothing to do'
    exit
fi
if [[ -n ${WHEELHOUSE:-} ]]; then
    if install --force-reinstall --no-deps --no-index --find-links "$WHEELHOUSE" \
        "$mmcv" && has_ops; then
        say "installed mmcv with compiled ops from $WHEELHOUSE"
        exit
    fi
    say "no wheel in $WHEELHOUSE fits this Python and torch; compiling instead"
fi

export MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
export MMCV_WITH_OPS=1
export CFLAGS=${CFLAGS:--DNDEBUG -fwrapv -g0 -O2}
PCH_DIR=$(mktemp -d)
export PCH_DIR
trap 'rm -rf "$PCH_DIR"' EXIT
export PCH_CXX=${CXX:-c++}
if ! command -v "$PCH_CXX" >/dev/null; then
    say "no C++ compiler $PCH_CXX found; install one (Debian: g++), or name it with CXX"
    exit 1
fi
if command -v flock >/dev/null && "$PCH_CXX" -v 2>&1 | grep -q '^gcc version'; then
    CXX=$PWD/tools/misc/pch_cxx.sh
    export CXX
    # Without ninja setuptools compiles C++ with CC.
    [[ -n ${CC:-} ]] || export CC=$CXX
else
    say "$PCH_CXX is not gcc, or flock is missing: building without precompiled header"
fi
say "compiling mmcv's ops with $MAX_JOBS jobs (5 to 25 minutes on 2 cores)"
install setuptools wheel packaging ninja
# No cache: a wheel built for one torch must not be taken for another later on.
PATH=$PWD/$venv/bin:$PATH install --no-build-isolation --no-cache-dir --no-deps \
    --force-reinstall --no-binary "$mmcv" -v "$mmcv" || {
    tail -n 20 "$log"
    say "the build failed (the end of $log is above)"
    exit 1
}
"$py" -c 'import mmcv.ops'
say 'done: mmcv has compiled ops'
