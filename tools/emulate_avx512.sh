#!/usr/bin/env bash
# emulate_avx512.sh: compares the tables "avx512vnni" and "avxvnni" with "x86-64-v3" bit by bit, on Bochs' model of a Tiger Lake
# processor: for machines without AVX-512. Needs the Debian packages bochs, bochs-term, bochsbios, vgabios and xorriso. Takes about a
# minute. Ends with 1 when a bit differs. "avxvnni" runs with vpdpbusd in its AVX-512 encoding, which is all that Bochs 2.7 knows.
# Environment: CC, the compiler (gcc).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags="-std=c11 -I$work -Isrc -Iinclude -O3 -fno-math-errno -ffp-contract=off -fno-pic -fno-stack-protector -mno-red-zone
    -fno-asynchronous-unwind-tables -mavx2 -mfma"
avx512="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni"
compile() {
    # shellcheck disable=SC2086 # flags are words
    "${CC:-gcc}" $flags "${@:2}" -c "$1" -o "$work/$(basename "$1").o"
}

mkdir "$work/kernels" "$work/cd"
sed 's/%{vex%}/%{evex%}/' src/kernels/avxvnni_tiles.h > "$work/kernels/avxvnni_tiles.h"
for source in avxvnni avxvnni_attention_s8; do
    compile src/kernels/$source.c -mavx512vl -mavx512vnni
done
for source in avx512 avx512_attention_s8; do
    # shellcheck disable=SC2086
    compile src/kernels/$source.c $avx512
done
compile src/kernels/ref.c -DRUNG_REF_V3
compile src/kernels/avx2.c
compile src/kernels/avx2_attention_s8.c
compile tools/emulator/compare.c -fno-builtin
compile tools/emulator/start.S
"${CC:-gcc}" -nostdlib -static -no-pie -T tools/emulator/link.ld "$work"/*.o -o "$work/program" \
    -Wl,-z,max-page-size=4096,--build-id=none,--no-warn-rwx-segments
objcopy -O binary -j .text -j .rodata -j .data "$work/program" "$work/cd/program"
truncate -s %2048 "$work/cd/program"
xorriso -as mkisofs -quiet -o "$work/cd.iso" -b program -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
    "$work/cd" 2>"$work/log"

cat > "$work/bochsrc" <<END
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: 256
cpu: model=tigerlake, ips=50000000, reset_on_triple_fault=0
ata0-master: type=cdrom, path=$work/cd.iso, status=inserted
boot: cdrom
port_e9_hack: enabled=1
log: $work/log
panic: action=fatal
END
# Debian's Bochs has its debugger built in, which waits for "c". It ends with an error however the program ended.
echo c | timeout 900 bochs-bin -q -f "$work/bochsrc" > "$work/out" 2>&1 || true
grep -aE '^(avx|x86)' "$work/out" || { tail -n 5 "$work/out" "$work/log"; exit 1; }
grep -aqx 'all the same' "$work/out"
