#include "textflag.h"

// In AX are the bits of the backslashes in the sixteen bytes at SI that a u follows.
#define ESCAPES \
	MOVOU    0(SI), X0 \
	MOVOU    1(SI), X1 \
	PCMPEQB  X2, X0 \
	PCMPEQB  X3, X1 \
	PAND     X1, X0 \
	PMOVMSKB X0, AX

#define SPLAT(BYTES, X) \
	MOVQ       BYTES, AX \
	MOVQ       AX, X \
	PUNPCKLQDQ X, X

// func nextUnicodeLong(s []byte, from int) int
TEXT ·nextUnicodeLong(SB), NOSPLIT, $0-40
	MOVQ     s_base+0(FP), BX
	MOVQ     s_len+8(FP), CX
	MOVQ     from+24(FP), SI
	LEAQ     -17(BX)(CX*1), CX // where the last seventeen bytes begin
	ADDQ     BX, SI
	SPLAT($0x5c5c5c5c5c5c5c5c, X2)
	SPLAT($0x7575757575757575, X3)

loop:
	ESCAPES
	TESTL    AX, AX
	JNE      found
	ADDQ     $16, SI
	CMPQ     SI, CX
	JLE      loop
	MOVQ     CX, SI // some again, where none was found
	ESCAPES
	TESTL    AX, AX
	JNE      found
	MOVQ     $-1, ret+32(FP)
	RET

found:
	BSFL     AX, AX
	SUBQ     BX, SI
	ADDQ     SI, AX
	MOVQ     AX, ret+32(FP)
	RET
