# test_summary.awk: counts test cases in meson's testlog.txt. Called by ./check.
# A program that runs cmocka groups counts as its cases; any other program counts as one. Prints:
#   count PASSED FAILED SKIPPED
#   failed PROGRAM CASE                    for each case that failed, or was running when the program ended
#   skip PROGRAM CASE CONDITION            for each line "SKIP CASE CONDITION"
#   unnamed PROGRAM                        for a program with more skips than such lines

function finish(    case_name, failed_here) {
    if (program == "") {
        return
    }
    failed_here = 0
    for (case_name in running) {
        print "failed", program, case_name
        failed_here++
    }
    if (cases == 0) {
        if (result == "exit status 0") {
            passed++
        } else if (result == "exit status 77") {
            skips++
        } else {
            print "failed", program, "(" result ")"
            failed_here++
        }
    } else if (result != "exit status 0" && failed_here == 0) {
        print "failed", program, "(" result ")"
        failed_here++
    }
    failed += failed_here
    skipped += skips
    if (skips > reasons) {
        print "unnamed", program
    }
    program = ""
}

function start() {
    finish()
    delete running
    cases = 0
    skips = 0
    reasons = 0
    result = ""
}

/^=+ +[0-9]+\/[0-9]+ +=+$/ { start(); next }
/^Summary of Failures:/ { start(); next }
/^test: / { if (program == "") { program = $0; sub(/^test: +(.* \/ )?/, "", program) } next }
/^result: / { if (result == "") { result = $0; sub(/^result: +/, "", result) } next }
/^\[ RUN      \] / { running[$4] = 1; cases++; next }
/^\[       OK \] / { if ($4 in running) { delete running[$4]; passed++ } next }
/^\[  SKIPPED \] / { if ($4 in running) { delete running[$4]; skips++ } next }
/^SKIP / { print "skip", program, $2, $3; reasons++; next }
END { finish(); print "count", passed + 0, failed + 0, skipped + 0 }
