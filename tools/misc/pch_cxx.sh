#!/usr/bin/env bash
# A C++ compiler that precompiles torch's headers: use it as CXX (and CC) of a build.
#
# For every set of flags that it is called with it builds the header once, with exactly
# those flags, so the compiler never has a reason to reject it. Calls that compile no
# C++ file go straight through. Needs PCH_DIR, a scratch folder; PCH_CXX is the compiler
# (default c++, gcc only). Add -H to the flags to see the header accepted ("!").
set -euo pipefail

cxx=${PCH_CXX:-c++}
flags=()
source=
object=
args=("$@")
for ((i = 0; i < $#; i++)); do
    case ${args[i]} in
    -o) object=${args[++i]} ;;
    -MF) i=$((i + 1)) ;;
    -c | -MMD | -MD | -H) ;;
    *.cpp | *.cc | *.cxx) source=${args[i]} ;;
    *) flags+=("${args[i]}") ;;
    esac
done
if [[ -z $source || -z $object || $object != *.o ]]; then
    exec "$cxx" "$@"
fi

key=$(printf '%s\n' "$cxx" "$PWD" "${flags[@]}" | cksum | tr ' ' '-')
folder=$PCH_DIR/$key
header=$folder/pch.h
(
    flock 9
    if [[ ! -e $header.gch ]]; then
        mkdir -p "$folder"
        printf '#include <torch/types.h>\n#include <vector>\n' >"$header"
        "$cxx" "${flags[@]}" -x c++-header "$header" -o "$header.part"
        mv "$header.part" "$header.gch"
    fi
) 9>"$PCH_DIR/$key.lock"
exec "$cxx" -include "$header" -Winvalid-pch "$@"
