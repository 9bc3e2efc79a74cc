#!/usr/bin/env bash
# check_layers.sh [DIRECTORY]: includes under src/ point one way (docs/architecture.md). Prints FILE:LINE of each violation and ends
# with 1 when there is one. DIRECTORY is the root of the tree.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

find src -name '*.[ch]' | LC_ALL=C sort | xargs awk '
    BEGIN {
        allowed["base"] = "base"
        allowed["kernels"] = "base kernels"
        allowed["model"] = "base kernels model"
        allowed["cascade"] = "base cascade"
        allowed["link"] = "base link"
        allowed["config"] = "base kernels model cascade link config"
        allowed["run"] = allowed["config"] " run"
        allowed["net"] = allowed["run"] " net"
        allowed["fit"] = allowed["net"] " fit"
        allowed["replay"] = allowed["fit"] " replay"
        allowed["plan"] = allowed["replay"] " plan"
        allowed["serve"] = allowed["plan"] " serve"
        allowed["sim"] = allowed["plan"] " sim"
        allowed["eval"] = allowed["plan"] " eval"
        allowed["cli"] = allowed["plan"] " serve sim eval cli"
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split(FILENAME, path, "/")
        area = path[2]
        header = $0
        sub(/^[^"]*"/, "", header)
        sub(/".*/, "", header)
        target = header
        sub(/\/.*/, "", target)
        if (!(area in allowed)) {
            problem = "src/" area " is not in the list of tools/check_layers.sh"
        } else if (header == "rung.h") {
            next
        } else if (header !~ /^[a-z]+\/[a-z0-9_]+\.[a-z]+$/) {
            problem = "\"" header "\" must be written \"directory/file.h\" from src/"
        } else if (index(" " allowed[area] " ", " " target " ") == 0) {
            problem = "src/" area " may not include \"" header "\"; it may include: " allowed[area]
        } else {
            next
        }
        printf "%s:%d: %s\n", FILENAME, FNR, problem
        bad = 1
    }
    END { exit bad }'
