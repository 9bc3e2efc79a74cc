#!/usr/bin/env bash
# install.sh RUNG BUILD COMPILER: what `meson install` puts in place can be used: a C program builds with pkg-config and classifies, the
# library exports the header's functions only, and the installed program finds its data.
. "$(dirname "$0")/lib.sh"

build=$2
compiler=$3
model=$root/tests/golden/tiny-bert
installed=$work/installed

# shell COMMAND...: as run, for any program.
shell() {
    command=$*
    "$@" >"$out" 2>"$err"
    status=$?
}

installs() {
    shell meson install -C "$build" --no-rebuild --destdir "$installed"
    expect_status 0
    prefix=$(find "$installed" -path '*/bin/rung' -printf '%h\n')/..
    library=$(dirname "$(find "$installed" -name librung.so)")
    if [ ! -f "$prefix/include/rung.h" ]; then
        problem "no include/rung.h"
    fi
}

exports_the_header_only() {
    shell nm -D --defined-only "$library/librung.so"
    expect_status 0
    awk '{ print $3 }' "$out" | LC_ALL=C sort >"$work/exported"
    grep -oE '\brung_[a-z0-9_]+\(' "$root/include/rung.h" | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
    if grep -vxFf "$work/declared" "$work/exported"; then
        problem "exports what rung.h does not declare"
    fi
    if ! grep -qx rung_cascade_classify "$work/exported"; then
        problem "does not export rung_cascade_classify"
    fi
}

c_program_classifies() {
    cat >"$work/program.c" <<'PROGRAM'
#include <rung.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    rung_error error;
    rung_cascade *cascade = NULL;
    if (argc != 3 || rung_cascade_open(argv[1], NULL, &cascade, &error) != RUNG_OK) {
        fprintf(stderr, "%s\n", argc == 3 ? error.message : "two arguments");
        return 2;
    }
    rung_input input = {.text = argv[2], .text_bytes = strlen(argv[2])};
    rung_answers *answers = NULL;
    rung_status status = rung_cascade_classify(cascade, &input, 1, &answers, &error);
    if (status == RUNG_OK) {
        printf("%s\n", rung_answers_get(answers, 0)->label);
    }
    rung_answers_free(answers);
    rung_cascade_close(cascade);
    return status != RUNG_OK;
}
PROGRAM
    local flags
    flags=$(PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$installed pkg-config --cflags --libs rung)
    # shellcheck disable=SC2086
    shell "$compiler" -std=c99 -Wall -Werror "$work/program.c" -o "$work/program" $flags
    expect_status 0
    shell env LD_LIBRARY_PATH="$library" "$work/program" "$model" "a fine film"
    expect_status 0
    cp "$out" "$work/label"
    run classify -m "$model" --json "a fine film"
    if ! grep -qF "\"label\":\"$(cat "$work/label")\"" "$out"; then
        problem "the library and the program disagree"
    fi
}

installed_program_finds_its_data() {
    local data
    data=$(find "$installed" -type d -path '*/share/rung')
    if [ ! -f "$data/models/cascade.yaml" ]; then
        problem "no models/cascade.yaml in $data"
    fi
    shell env RUNG_DATA="$data" LD_LIBRARY_PATH="$library" "$prefix/bin/rung" classify --json "A warm, funny film."
    expect_status 0
    expect_stdout '"label":"pos"'
}

cases installs exports_the_header_only c_program_classifies installed_program_finds_its_data
