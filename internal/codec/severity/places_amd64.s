#include "textflag.h"

// Takes sixteen bytes at AT. X11 is what each of them may be as the first of a pair, X13
// as the second: a table in X4 and X6 tells it by the lower half of a byte, one in X5 and
// X7 by the upper half. X8 has 0x0f in each byte.
#define LOOKUP(AT) \
	MOVOU  AT, X0   \
	MOVO   X0, X2   \
	PSRLW  $4, X2   \
	PAND   X8, X0   \
	PAND   X8, X2   \
	MOVO   X4, X10  \
	MOVO   X5, X11  \
	MOVO   X6, X12  \
	MOVO   X7, X13  \
	PSHUFB X0, X10  \
	PSHUFB X2, X11  \
	PSHUFB X0, X12  \
	PSHUFB X2, X13  \
	PAND   X10, X11 \
	PAND     X12, X13

// The bits in AX are of the bytes where X and X13 have something in common. X9 is zero.
#define MARK(X) \
	PAND     X, X13  \
	PCMPEQB  X9, X13 \
	PMOVMSKB X13, AX \
	XORL     $0xffff, AX

// func mark(marks *[4]uint64, line []byte, of *halves)
TEXT ·mark(SB), NOSPLIT, $0-40
	MOVQ     marks+0(FP), DI
	MOVQ     line_base+8(FP), SI
	MOVQ     line_len+16(FP), CX
	MOVQ     of+32(FP), AX
	MOVOU    0(AX), X4
	MOVOU    16(AX), X5
	MOVOU    32(AX), X6
	MOVOU    48(AX), X7
	MOVQ     $0x0f0f0f0f0f0f0f0f, DX
	MOVQ     DX, X8
	PUNPCKLQDQ X8, X8
	PXOR     X9, X9
	PXOR     X14, X14 // what the sixteen bytes before may be, as the first of a pair

loop:
	LOOKUP((SI))
	MOVO     X11, X1
	PALIGNR  $15, X14, X1
	MOVO     X11, X14
	MARK(X1)
	MOVW     AX, (DI)
	ADDQ     $2, DI
	ADDQ     $16, SI
	SUBQ     $16, CX
	CMPQ     CX, $16
	JGE      loop
	TESTQ    CX, CX
	JEQ      done

	// Less than sixteen are left. With some bytes again it is that many, of which the first
	// is not needed, so that what was before it is not either.
	LOOKUP(-16(SI)(CX*1))
	PSLLDQ   $1, X11
	MARK(X11)
	NEGQ     CX
	ADDQ     $16, CX
	SHRL     CX, AX
	MOVW     AX, (DI)

done:
	RET
