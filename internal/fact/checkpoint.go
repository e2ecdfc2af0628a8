// SPDX-License-Identifier: Apache-2.0

package fact

// Checkpoints are the archives of checkpointed containers in a node's directory of
// them. Each holds the memory of processes; nothing of what is in them is kept.
type Checkpoints struct {
	Dir string `json:"dir"` // on the node
	// Reach are the bits for entering (0o011) that the directory and all above it
	// have: who is not let in cannot read what is in it, whatever its mode.
	Reach    uint32    `json:"reach"`
	Archives []Archive `json:"archives,omitempty"` // regular files, by their paths
	More     int       `json:"more,omitempty"`     // entries beyond the limit, and those that are no files
	// Volume and Free are the size of the directory's file system and what of it
	// may be used, in bytes; 0: not known.
	Volume uint64 `json:"volume,omitempty"`
	Free   uint64 `json:"free,omitempty"`
}

// Archive is one file of them.
type Archive struct {
	Path string `json:"path"` // on the node
	Meta Meta   `json:"meta"`
}

// Total is what they take, in bytes.
func (c Checkpoints) Total() (n int64) {
	for _, a := range c.Archives {
		n += a.Meta.Size
	}
	return n
}

// KindCheckpoints is the kind of Checkpoints.
const KindCheckpoints Kind = "Checkpoints"

// Kind implements Fact.
func (Checkpoints) Kind() Kind { return KindCheckpoints }

func (Checkpoints) fact() {}
