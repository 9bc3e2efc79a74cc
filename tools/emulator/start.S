/* start.S: from the BIOS to C in 64-bit mode with the state of AVX-512 enabled, for a program on a CD without a system
 * (emulate_avx512.sh). Memory: the program at 0x10000, page tables at 0x100000, .bss at 0x200000, the stack below
 * 0x8000000. Source: Intel SDM volume 3, chapters 9 and 13; El Torito 1.0. */
    .section .start, "ax"
    .code16
    .globl _start
_start:
    jmp load
    .balign 8
    .long 0                 /* xorriso -boot-info-table fills in 56 bytes: the volume descriptor, */
file_block: .long 0         /* this file's block of 2,048 bytes, */
file_bytes: .long 0         /* its size, */
    .skip 44                /* and a sum */
packet:                     /* of int 0x13, function 0x42 */
    .byte 16, 0
    .word 1                 /* blocks */
    .word 0
packet_segment: .word 0x1000
packet_block: .quad 0

/* The BIOS has loaded the first 2 KiB at 0x7c00. */
load:
    cli
    movw $0x7c0, %ax
    movw %ax, %ds
    xorw %ax, %ax
    movw %ax, %ss
    movw $0x7c00, %sp
    movl file_block - _start, %eax
    movl %eax, packet_block - _start
    movl file_bytes - _start, %ebx
0:  movw $packet - _start, %si
    movb $0x42, %ah
    int $0x13
    addw $128, packet_segment - _start
    incl packet_block - _start
    subl $2048, %ebx
    ja 0b
    ljmp $0x1000, $1f - _start
1:  cli
    movw $0x1000, %ax
    movw %ax, %ds
    inb $0x92, %al          /* address line 20 */
    orb $2, %al
    outb %al, $0x92
    lgdtl gdt_pointer - _start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $2f

    .code32
2:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x100000, %edi    /* three tables, of which the last maps 1 GiB in pages of 2 MiB */
    xorl %eax, %eax
    movl $0xc00, %ecx
    rep stosl
    movl $0x101003, 0x100000
    movl $0x102003, 0x101000
    movl $0x102000, %edi
    movl $0x83, %eax
3:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $0x103000, %edi
    jb 3b
    movl $0x40620, %eax     /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    movl %eax, %cr4
    movl $0x100000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx  /* EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $0xfffffffb, %eax  /* no x87 emulation */
    orl $0x80000002, %eax   /* paging, MP */
    movl %eax, %cr0
    ljmpl $24, $4f

    .code64
4:  movl $0x8000000, %esp
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $0xe7, %eax        /* XCR0: x87, SSE, AVX, AVX-512 */
    xsetbv
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    call main
    movl $0x8900, %edx      /* Bochs ends */
    movl $shutdown, %esi
    movl $8, %ecx
    rep outsb
5:  hlt
    jmp 5b

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00af9a000000ffff
gdt_pointer:
    .word 31
    .long gdt
shutdown: .ascii "Shutdown"
    .section .note.GNU-stack, "", @progbits
