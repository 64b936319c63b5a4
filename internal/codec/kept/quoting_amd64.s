#include "textflag.h"

// Takes sixteen bytes at AT: the bits of AX are of the backslashes, those of R8 of quotes
// and those of R10 of what is not printable ASCII: of all bytes plus one, as signed ones,
// that is up to a space.
#define SIXTEEN(AT) \
	MOVOU    AT, X0  \
	MOVO     X5, X1  \
	MOVO     X6, X2  \
	PCMPEQB  X0, X1  \
	PCMPEQB  X0, X2  \
	PADDB    X7, X0  \
	PCMPGTB  X8, X0  \
	PMOVMSKB X1, AX  \
	PMOVMSKB X2, R8  \
	PMOVMSKB X0, R10 \
	XORL     $0xffff, R10

#define SPLAT(BYTES, X) \
	MOVQ       BYTES, AX \
	MOVQ       AX, X \
	PUNPCKLQDQ X, X

// func quotingLong(b []byte) int
TEXT ·quotingLong(SB), NOSPLIT, $0-32
	MOVQ     b_base+0(FP), SI
	MOVQ     b_len+8(FP), CX
	SPLAT($0x5c5c5c5c5c5c5c5c, X5)
	SPLAT($0x2222222222222222, X6)
	SPLAT($0x0101010101010101, X7)
	SPLAT($0x2020202020202020, X8)
	XORL     BX, BX // whether the byte before is a backslash

loop:
	SIXTEEN((SI))
	LEAL     (BX)(AX*2), R12 // what follows a backslash
	MOVL     AX, BX
	SHRL     $15, BX
	XORL     R12, R8         // has to be the quotes
	ORL      R8, R10
	ANDL     $0xffff, R10
	JNE      found
	ADDQ     $16, SI
	SUBQ     $16, CX
	CMPQ     CX, $16
	JGE      loop
	TESTQ    CX, CX
	JEQ      end

	// Less than sixteen are left. With some bytes again, at least one, it is that many.
	SIXTEEN(-16(SI)(CX*1))
	LEAQ     (SI)(CX*1), DI
	NEGQ     CX
	ADDQ     $16, CX
	MOVL     AX, BX
	SHRL     $15, BX
	LEAL     (AX)(AX*1), R12
	XORL     R12, R8
	ORL      R8, R10
	ANDL     $0xffff, R10
	SHRL     CX, R10
	SHRL     CX, R12
	TESTL    R10, R10
	JNE      found
	MOVQ     DI, SI

end:
	SUBQ     BX, SI
	SUBQ     b_base+0(FP), SI
	MOVQ     SI, ret+24(FP)
	RET

found:
	BSFL     R10, AX
	BTL      AX, R12 // a backslash that is not before a quote is not included
	SBBQ     $0, AX
	ADDQ     AX, SI
	SUBQ     b_base+0(FP), SI
	MOVQ     SI, ret+24(FP)
	RET
