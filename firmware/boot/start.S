# SPDX-License-Identifier: MIT
# Entry of an image on the instruction-set simulator: flat long mode, paging off, nothing else promised.
    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    cld
    lea     __stack_top(%rip), %rsp
    xor     %ebp, %ebp
    lea     __bss_start(%rip), %rdi
    lea     __bss_end(%rip), %rcx
    sub     %rdi, %rcx
    xor     %eax, %eax
    rep stosb
    call    vtd_firmware_main
    ud2
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
