// SPDX-License-Identifier: Apache-2.0

package host

// Put gives a file content and access, whether it is there or not, whole or not at
// all. Its directory has to be there. It is for what this program alone writes: of
// two that do it at once, one gets a *ChangedError or fs.ErrExist.
func (d *Disk) Put(name string, data []byte, as Access) error {
	before, err := d.Digest(name)
	switch {
	case err != nil:
		return err
	case before == "":
		return d.WriteNew(name, data, as)
	}
	return d.Restore(name, data, before, as)
}
