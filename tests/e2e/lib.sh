# lib.sh: sourced by the end-to-end tests. A test case is a shell function; its name and result are printed as cmocka prints them, so that
# ./check counts them. The first argument of a test is the path of the rung program.
set -uo pipefail

rung=$(realpath "$1")
root=${MESON_SOURCE_ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/out
err=$work/err
failures=0

# problem TEXT...: the running case has failed; shows what the program said.
problem() {
    case_failed=yes
    printf '%s: %s\n' "$case_name" "$*"
    printf '    command: %s\n    status:  %s\n' "$command" "$status"
    sed 's/^/    stdout:  /' "$out" | cut -c1-300 | head -n 5
    sed 's/^/    stderr:  /' "$err" | cut -c1-300 | head -n 5
}

# run ARGUMENTS...: runs rung; stdin is the caller's. Sets status; the outputs lie in $out and $err.
run() {
    command="rung $*"
    "$rung" "$@" >"$out" 2>"$err"
    status=$?
}

# expect_status N
expect_status() {
    if [ "$status" -ne "$1" ]; then
        problem "exit code $status instead of $1"
    fi
}

# expect_error TEXT...: exit code 2, nothing on stdout and one line on stderr that contains each TEXT.
expect_error() {
    local text
    expect_status 2
    if [ -s "$out" ]; then
        problem "wrote to stdout"
    fi
    if [ "$(wc -l <"$err")" -ne 1 ]; then
        problem "stderr has $(wc -l <"$err") lines instead of 1"
    fi
    for text in "$@"; do
        if ! grep -qiF -- "$text" "$err"; then
            problem "stderr does not say \"$text\""
        fi
    done
}

# expect_stderr TEXT...: stderr contains each TEXT.
expect_stderr() {
    local text
    for text in "$@"; do
        if ! grep -qiF -- "$text" "$err"; then
            problem "stderr does not say \"$text\""
        fi
    done
}

# expect_lines N: stdout has N lines.
expect_lines() {
    if [ "$(wc -l <"$out")" -ne "$1" ]; then
        problem "stdout has $(wc -l <"$out") lines instead of $1"
    fi
}

# expect_stdout REGEX...: stdout matches each extended regular expression.
expect_stdout() {
    local text
    for text in "$@"; do
        if ! grep -qE -- "$text" "$out"; then
            problem "stdout does not match $text"
        fi
    done
}

# cases FUNCTION...: runs them all; the test's exit code follows.
cases() {
    local name
    for name in "$@"; do
        case_name=$name
        case_failed=no
        command=
        status=
        : >"$out"
        : >"$err"
        echo "[ RUN      ] $name"
        "$name" </dev/null
        if [ "$case_failed" = yes ]; then
            failures=$((failures + 1))
            echo "[  FAILED  ] $name"
        else
            echo "[       OK ] $name"
        fi
    done
    exit $((failures > 0))
}

# le64 N: N as 8 little-endian bytes, as in the head of a safetensors file.
le64() {
    local n=$1 i
    for i in 1 2 3 4 5 6 7 8; do
        printf "\\x$(printf %02x $((n & 255)))"
        n=$((n >> 8))
    done
}
