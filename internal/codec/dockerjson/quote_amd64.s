#include "textflag.h"

// In AX are the bits of the quotes in the sixteen bytes at AT+1 where the byte before is no
// backslash.
#define LOOSE(AT) \
	MOVOU    0(AT), X0 \
	MOVOU    1(AT), X1 \
	PCMPEQB  X2, X0 \
	PCMPEQB  X3, X1 \
	PANDN    X1, X0 \
	PMOVMSKB X0, AX

#define SPLAT(BYTES, X) \
	MOVQ       BYTES, AX \
	MOVQ       AX, X \
	PUNPCKLQDQ X, X

// func looseQuoteLong(b []byte, from int) int
TEXT ·looseQuoteLong(SB), NOSPLIT, $0-40
	MOVQ     b_base+0(FP), BX
	MOVQ     b_len+8(FP), CX
	MOVQ     from+24(FP), SI
	LEAQ     -17(BX)(CX*1), CX // where the last seventeen bytes begin
	LEAQ     -1(BX)(SI*1), SI
	SPLAT($0x5c5c5c5c5c5c5c5c, X2)
	SPLAT($0x2222222222222222, X3)

loop:
	LOOSE(SI)
	TESTL    AX, AX
	JNE      found
	ADDQ     $16, SI
	CMPQ     SI, CX
	JLE      loop
	MOVQ     CX, SI // some again, where none was found
	LOOSE(SI)
	TESTL    AX, AX
	JNE      found
	MOVQ     $-1, ret+32(FP)
	RET

found:
	BSFL     AX, AX
	SUBQ     BX, SI
	LEAQ     1(SI)(AX*1), AX
	MOVQ     AX, ret+32(FP)
	RET
