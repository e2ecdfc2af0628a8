// SPDX-License-Identifier: Apache-2.0

package finding

// The codes of archives of checkpointed containers.
const (
	CheckpointReadable  Code = "CheckpointReadable"
	CheckpointsFillDisk Code = "CheckpointsFillDisk"
)

var checkpointCodes = []Info{
	{CheckpointReadable, "archives of memory that others may read",
		"Archives of checkpointed containers can be read by others than their owner. Each holds the whole memory of its processes: keys, tokens, passwords, customers' data.",
		"Runtimes write them with mode 0600 into a directory with mode 0700; somebody has copied them, or changed a mode.",
		"chmod 700 the directory and 600 the archives, and remove what is no longer needed (`perennial checkpoint prune`). If others could have read one, treat its secrets as known."},
	{CheckpointsFillDisk, "archives of checkpoints that fill the disk",
		"Archives of checkpointed containers take a tenth of their file system or more, or what is missing of the tenth that has to be free. Below that the kubelet evicts pods.",
		"An archive is as large as the memory of the container, and nobody removes any: neither the kubelet nor the runtime (KEP-2008 leaves it to the user).",
		"`perennial checkpoint prune` removes them by age, number or share of the disk; keep what is evidence elsewhere."},
}
