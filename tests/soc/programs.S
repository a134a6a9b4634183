# SPDX-License-Identifier: MIT
# Programs for the instruction-set simulator; the word at 0x02000000 says which one runs.
    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    lea     stack_top(%rip), %rsp
    xor     %ebp, %ebp
    incq    boots(%rip)
    mov     $0x02000000, %ebx
    mov     (%rbx), %rax
    cmp     $1, %rax
    je      widths
    cmp     $2, %rax
    je      poll
    cmp     $3, %rax
    je      outer
    cmp     $4, %rax
    je      bus_error
    cmp     $5, %rax
    je      say_boots
    ud2
    .size _start, . - _start

# Register accesses of both widths.
    .type widths, @function
widths:
    mov     $0xf0000000, %edx
    movl    $0x11223344, 0x10(%rdx)
    mov     $0x1122334455667788, %rax
    movq    %rax, 0x18(%rdx)
    movl    0x20(%rdx), %ecx
    movq    0x28(%rdx), %rsi
    movl    %ecx, 0x30(%rdx)
    movq    %rsi, 0x38(%rdx)
    jmp     park
    .size widths, . - widths

# Waits for a word in memory.
    .type poll, @function
poll:
    mov     $0xf0000000, %edx
1:  mov     8(%rbx), %rax
    test    %rax, %rax
    jz      1b
    mov     %rax, 0x10(%rdx)
    jmp     park
    .size poll, . - poll

# A crash two calls deep.
    .type outer, @function
outer:
    push    %rbp
    mov     %rsp, %rbp
    call    inner
    pop     %rbp
    ret
    .size outer, . - outer

    .type inner, @function
inner:
    push    %rbp
    mov     %rsp, %rbp
    mov     $0x90000000, %ecx
    mov     $0x5a, %r15d
    mov     (%rcx), %rax
    pop     %rbp
    ret
    .size inner, . - inner

    .type bus_error, @function
bus_error:
    mov     $0xf0005000, %edx
    movl    $1, (%rdx)
    jmp     park
    .size bus_error, . - bus_error

# A variable of the image, incremented at each start.
    .type say_boots, @function
say_boots:
    mov     $0xf0000000, %edx
    mov     boots(%rip), %rax
    mov     %rax, 0x10(%rdx)
    jmp     park
    .size say_boots, . - say_boots

    .type park, @function
park:
    jmp     park
    .size park, . - park

    .section .data, "aw"
    .balign 8
boots:
    .quad 0
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
