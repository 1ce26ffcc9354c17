package result

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusTable(t *testing.T) {
	for i, tt := range []struct {
		status   Status
		name     string
		terminal bool
	}{
		{Queued, "queued", false},
		{Running, "running", false},
		{Succeeded, "succeeded", true},
		{Failed, "failed", true},
		{Panicked, "panicked", true},
		{Canceled, "canceled", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, Status(i), tt.status, "the numbers are stable")
			assert.Equal(t, tt.name, tt.status.String())
			assert.Equal(t, tt.terminal, tt.status.Terminal())

			text, err := tt.status.MarshalText()
			require.NoError(t, err)
			assert.Equal(t, tt.name, string(text))

			back := Status(99)
			require.NoError(t, back.UnmarshalText(text))
			assert.Equal(t, tt.status, back)
		})
	}
}

func TestStatusUnknown(t *testing.T) {
	for s := int(Canceled) + 1; s <= 255; s++ {
		assert.False(t, Status(s).Terminal())
		_, err := Status(s).MarshalText()
		assert.Error(t, err)
	}
	assert.Equal(t, "status(6)", Status(6).String())
	assert.Equal(t, "status(255)", Status(255).String())
	_, err := Status(9).MarshalText()
	assert.EqualError(t, err, "result: cannot marshal unknown status(9)")

	for _, text := range []string{"", "Failed", "failed ", "status(9)", "cancelled"} {
		s := Running
		assert.Error(t, s.UnmarshalText([]byte(text)), "%q", text)
		assert.Equal(t, Running, s, "%q leaves the status as it was", text)
	}
}

func TestStatusInJSON(t *testing.T) {
	type job struct {
		State  Status         `json:"state"`
		Counts map[Status]int `json:"counts"`
	}
	in := job{State: Panicked, Counts: map[Status]int{Failed: 2, Canceled: 1}}

	text, err := json.Marshal(in)
	require.NoError(t, err)
	assert.JSONEq(t, `{"state":"panicked","counts":{"failed":2,"canceled":1}}`, string(text))

	var out job
	require.NoError(t, json.Unmarshal(text, &out))
	assert.Equal(t, in, out)
}
