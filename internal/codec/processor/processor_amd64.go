package processor

// HasSSSE3 says whether it has the instructions of SSSE3, which a few old ones have not. On
// processors of other kinds it is false.
var HasSSSE3 = ssse3()

// ssse3 asks the processor: bit 9 of CX, of what CPUID tells at 1.
func ssse3() bool
