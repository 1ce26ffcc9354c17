package pool

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// 176 bytes are a size class of the allocator; the next one is 192. README.md and docs/speed.md name the figure.
func TestSizeOfAJob(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("pointers are shorter")
	}
	assert.LessOrEqual(t, unsafe.Sizeof(job[int, int]{}), uintptr(176))
}
