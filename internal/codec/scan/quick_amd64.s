#include "textflag.h"
#include "go_asm.h"

// func follow(t *text, quicks []quick, at place, row []record.Span) place
//
// R8 is the text, R9 the last place from which 16 bytes can be read and where a run may end,
// R10 the end of what may be matched, BX the segment with number R12, R13 where it begins
// and CX where its run comes to.
TEXT ·follow(SB), NOSPLIT, $0-88
	MOVQ     t+0(FP), AX
	MOVQ     text_b(AX), R8
	MOVQ     text_b+8(AX), R9
	MOVQ     text_end(AX), R10
	SUBQ     $16, R9
	CMPQ     R10, R9
	CMOVQLT  R10, R9
	MOVQ     at_step+32(FP), R12
	MOVQ     at_pos+40(FP), R13
	MOVQ     row_base+48(FP), DI
	MOVQ     row_len+56(FP), SI
	IMUL3Q   $quick__size, R12, BX
	ADDQ     quicks_base+8(FP), BX
	MOVQ     $0x0f0f0f0f0f0f0f0f, AX
	MOVQ     AX, X8
	PUNPCKLQDQ X8, X8
	PXOR     X9, X9

segment:
	CMPQ     R12, quicks_len+16(FP)
	JGE      done
	CMPB     (quick_halves+halves_follows)(BX), $0
	JEQ      done
	MOVOU    (quick_halves+halves_low)(BX), X4
	MOVOU    (quick_halves+halves_high)(BX), X5
	MOVQ     R13, CX

run:
	CMPQ     CX, R9
	JGT      done
	MOVOU    (R8)(CX*1), X0
	MOVO     X0, X1
	PSRLW    $4, X1
	PAND     X8, X0
	PAND     X8, X1
	MOVO     X4, X2
	MOVO     X5, X3
	PSHUFB   X0, X2
	PSHUFB   X1, X3
	PAND     X2, X3
	PCMPEQB  X9, X3
	PMOVMSKB X3, AX
	XORL     $0xffff, AX // the bytes that end the run
	JEQ      more
	BSFL     AX, AX
	ADDQ     AX, CX
	CMPQ     CX, R9
	JGT      done

	// The literal.
	MOVOU    (R8)(CX*1), X0
	MOVOU    quick_word0(BX), X1
	MOVOU    quick_mask0(BX), X2
	PXOR     X1, X0
	PAND     X2, X0
	PCMPEQB  X9, X0
	PMOVMSKB X0, AX
	CMPL     AX, $0xffff
	JNE      entity
	MOVQ     CX, DX
	SUBQ     R13, DX
	CMPQ     DX, quick_min(BX)
	JLT      done
	MOVQ     quick_n(BX), AX
	TESTQ    AX, AX
	JEQ      last
	ADDQ     AX, CX
	CMPQ     CX, R10
	JGT      done

keep:
	MOVQ     quick_slot(BX), AX
	TESTQ    AX, AX
	JLT      next
	CMPQ     AX, SI
	JGE      done
	MOVL     R13, (DI)(AX*8)
	MOVL     DX, 4(DI)(AX*8)

next:
	MOVQ     CX, R13
	INCQ     R12
	ADDQ     $quick__size, BX
	JMP      segment

more:
	ADDQ     $16, CX
	JMP      run

entity: // the run goes on behind & < > as Docker escapes them
	CMPB     quick_entities(BX), $0
	JEQ      done
	MOVQ     (R8)(CX*1), AX
	SHLQ     $16, AX
	MOVQ     $(const_escapedAnd<<16), DX
	CMPQ     AX, DX
	JEQ      behind
	MOVQ     $(const_escapedLess<<16), DX
	CMPQ     AX, DX
	JEQ      behind
	MOVQ     $(const_escapedMore<<16), DX
	CMPQ     AX, DX
	JNE      done

behind:
	ADDQ     $6, CX
	JMP      run

last:
	CMPQ     CX, R10 // without a literal the run has to go to the end
	JEQ      keep

done:
	MOVQ     R12, ret_step+72(FP)
	MOVQ     R13, ret_pos+80(FP)
	RET
