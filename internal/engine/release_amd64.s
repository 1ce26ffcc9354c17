//go:build !purego && !race

#include "textflag.h"

// func storeRelease(addr *uint32, v uint32)
TEXT ·storeRelease(SB), NOSPLIT, $0-12
	MOVQ addr+0(FP), BX
	MOVL v+8(FP), AX
	MOVL AX, (BX)
	RET
