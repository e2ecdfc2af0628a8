// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"perennial.dev/perennial/internal/fact"
)

// An image of CRIU is a magic number or two, and then messages, each behind its
// size (criu/include/magic.h, criu/protobuf.c; the messages' fields are in
// images/*.proto of CRIU 4). It is not read with go-criu's crit: that one wants
// files on the disk, allocates as much as a size in the file says, and keeps all
// messages.
const (
	magicCommon  = 0x54564319 // before the magic of most images since 2.0
	magicService = 0x55105940
)

// magics of the images that are looked into.
var magics = map[string]uint32{"files": 0x56303138, "pstree": 0x50273030, "cgroup": 0x59383330, "core": 0x55053847, "inventory": 0x58313116}

var (
	pagesName = regexp.MustCompile(`^pages-(\d+|shmem-\d+)\.img$`)
	coreName  = regexp.MustCompile(`^core-(\d{1,10})\.img$`)
)

// criu looks into a file of CRIU.
func (rd *reader) criu(base string, size int64, r io.Reader) error {
	name := imagesDir + "/" + base
	if base == dumpLog {
		return rd.log(r)
	}
	if strings.HasSuffix(base, ".img") {
		rd.d.Images++
	}
	core := coreName.FindStringSubmatch(base)
	switch {
	case strings.HasPrefix(base, "pages-"):
		rd.d.Memory += size
		if rd.o.Memory && pagesName.MatchString(base) {
			return rd.remembered(name, r)
		}
	case base == "inventory.img":
		return rd.messages(name, "inventory", size, r, func([]byte) error { return nil })
	case base == "pstree.img":
		return rd.messages(name, "pstree", size, r, rd.process)
	case base == "files.img":
		return rd.messages(name, "files", size, r, rd.file)
	case base == "cgroup.img":
		return rd.messages(name, "cgroup", size, r, rd.cgroup)
	case core != nil:
		pid, err := strconv.ParseUint(core[1], 10, 32)
		if err != nil {
			return refuse(name, "has a number that no process has")
		}
		return rd.messages(name, "core", size, r, func(m []byte) error { return rd.core(uint32(pid), m) })
	}
	return nil
}

// messages reads the messages of an image, one at a time.
func (rd *reader) messages(name, image string, size int64, r io.Reader, see func([]byte) error) error {
	var word [4]byte
	next := func() (uint32, error) {
		if size -= 4; size < 0 {
			return 0, refuse(name, "ends in the middle of a number")
		}
		_, err := io.ReadFull(r, word[:])
		return binary.LittleEndian.Uint32(word[:]), err
	}
	magic, err := next()
	if err == nil && (magic == magicCommon || magic == magicService) {
		magic, err = next()
	}
	if err != nil {
		return err
	}
	if magic != magics[image] {
		return refuse(name, "is no such image of CRIU: its magic number is %#x", magic)
	}
	var buffer []byte
	for n := 1; size > 0; n++ {
		length, err := next()
		if err != nil {
			return err
		}
		switch {
		case n > rd.o.Limits.Messages:
			return refuse(name, "has more than %d messages", rd.o.Limits.Messages)
		case int64(length) > size:
			return refuse(name, "has a message of %s, and %s are left", Bytes(int64(length)), Bytes(size))
		case int64(length) > rd.o.Limits.Message:
			return refuse(name, "has a message of %s", Bytes(int64(length)))
		}
		if err := rd.ctx.Err(); err != nil {
			return err
		}
		buffer = slices.Grow(buffer[:0], int(length))[:length]
		if _, err := io.ReadFull(r, buffer); err != nil {
			return err
		}
		size -= int64(length)
		if err := see(buffer); err != nil {
			return refuse(name, "has a message that cannot be understood: %v", err)
		}
	}
	return nil
}

// field is a field of a message: a number, or bytes.
type field struct {
	number protowire.Number
	value  uint64
	data   []byte
}

// fields walks the fields of a message. Its bytes are valid during the call only.
func fields(message []byte, see func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(message)
		default:
			return errors.New("a field of an old kind")
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := see(f); err != nil {
			return err
		}
	}
	return nil
}

func tooMany(what string, most int) error { return fmt.Errorf("more than %d %s", most, what) }

// process reads a pstree_entry.
func (rd *reader) process(m []byte) error {
	if len(rd.d.Processes) >= rd.o.Limits.Things {
		return tooMany("processes", rd.o.Limits.Things)
	}
	var p Process
	err := fields(m, func(f field) error {
		switch f.number {
		case 1:
			p.PID = uint32(f.value)
		case 2:
			p.Parent = uint32(f.value)
		case 5:
			p.Threads += max(1, len(numbers(f)))
		}
		return nil
	})
	rd.d.Processes = append(rd.d.Processes, p)
	return err
}

// numbers are the values of a repeated number, packed or not.
func numbers(f field) []uint32 {
	if f.data == nil {
		return []uint32{uint32(f.value)}
	}
	var all []uint32
	for data := f.data; len(data) > 0; {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return all
		}
		all, data = append(all, uint32(v)), data[n:]
	}
	return all
}

// architectures are core_entry's, as Go names them.
var architectures = map[uint64]string{1: "amd64", 2: "arm", 3: "arm64", 4: "ppc64le", 5: "s390x", 6: "mips64le", 7: "loong64", 8: "riscv64"}

// core reads a core_entry: the registers of a thread, and of a process's first
// one its name.
func (rd *reader) core(pid uint32, m []byte) error {
	return fields(m, func(f field) error {
		switch f.number {
		case 1:
			if rd.d.Arch = architectures[f.value]; rd.d.Arch == "" {
				return fmt.Errorf("the unknown architecture %d", f.value)
			}
		case 2: // thread_info_x86, its fpregs, their xsave
			return within(f.data, []protowire.Number{3, 13, 1}, rd.registers)
		case 3:
			return fields(f.data, func(f field) error {
				if f.number == 6 {
					if rd.names == nil {
						rd.names = map[uint32]fact.Text{}
					}
					if len(rd.names) >= rd.o.Limits.Things {
						return tooMany("threads", rd.o.Limits.Things)
					}
					rd.names[pid] = fact.Text(f.data[:min(len(f.data), 64)])
				}
				return nil
			})
		}
		return nil
	})
}

// within follows a path of fields.
func within(m []byte, path []protowire.Number, see func(uint64)) error {
	return fields(m, func(f field) error {
		switch {
		case f.number != path[0]:
		case len(path) == 1:
			see(f.value)
		default:
			return within(f.data, path[1:], see)
		}
		return nil
	})
}

// states are the parts of the extended state of a CPU (Intel's manual, volume 1,
// 13.1), by their bit, with the flag in /proc/cpuinfo of a CPU that has it.
var states = map[int]string{2: "avx", 3: "mpx", 4: "mpx", 5: "avx512f", 6: "avx512f", 7: "avx512f", 9: "pku", 17: "amx_tile", 18: "amx_tile"}

func (rd *reader) registers(used uint64) {
	for bit, flag := range states {
		if used&(1<<bit) != 0 && !slices.Contains(rd.d.Features, flag) {
			rd.d.Features = append(rd.d.Features, flag)
		}
	}
}

// cgroup reads a cgroup_entry. The one hierarchy of version 2 has no controller's
// name; each of version 1 has.
func (rd *reader) cgroup(m []byte) error {
	return fields(m, func(set field) error {
		if set.number != 1 {
			return nil
		}
		return fields(set.data, func(member field) error {
			if member.number != 2 {
				return nil
			}
			name := ""
			err := fields(member.data, func(f field) error {
				if f.number == 1 {
					name = string(f.data)
				}
				return nil
			})
			if name != "" {
				rd.d.Cgroup = 1
			} else if rd.d.Cgroup == 0 {
				rd.d.Cgroup = 2
			}
			return err
		})
	})
}

// file reads a file_entry.
func (rd *reader) file(m []byte) error {
	return fields(m, func(f field) error {
		var s Socket
		var err error
		switch f.number {
		case 3:
			rd.d.OpenFiles++
			return nil
		case 4:
			s, err = inet(f.data)
		case 6:
			s = Socket{Kind: "packet", State: "open"}
		case 7:
			s = Socket{Kind: "netlink", State: "open"}
		case 16:
			s, err = unix(f.data)
		default:
			return nil
		}
		if len(rd.d.Sockets) >= rd.o.Limits.Things {
			return tooMany("sockets", rd.o.Limits.Things)
		}
		rd.d.Sockets = append(rd.d.Sockets, s)
		return err
	})
}

const established = "established"

// tcpStates are the kernel's (include/net/tcp_states.h).
var tcpStates = map[uint64]string{1: established, 2: "connecting", 3: "connecting", 7: "closed", 8: "close-wait", 10: "listening"}

// inet reads an inet_sk_entry.
func inet(m []byte) (Socket, error) {
	var kind, state, from, to uint64
	var source, target []uint32
	err := fields(m, func(f field) error {
		switch f.number {
		case 5:
			kind = f.value
		case 6:
			state = f.value
		case 7:
			from = f.value
		case 8:
			to = f.value
		case 11:
			source = append(source, numbers(f)...)
		case 12:
			target = append(target, numbers(f)...)
		}
		if len(source) > 4 || len(target) > 4 {
			return errors.New("an address of more than 16 bytes")
		}
		return nil
	})
	s := Socket{Kind: "raw", State: "open", Local: address(source, from), Remote: address(target, to)}
	switch kind {
	case 6:
		s.Kind, s.State = "tcp", cmp.Or(tcpStates[state], "closing")
	case 17:
		s.Kind = "udp"
	}
	if to == 0 {
		s.Remote = ""
	}
	return s, err
}

// address joins what CRIU keeps of an address: its bytes as they are in memory, as
// numbers of four of them.
func address(words []uint32, port uint64) fact.Text {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return ""
	}
	return fact.Text(netip.AddrPortFrom(a.Unmap(), uint16(port)).String())
}

// pathLimit is more than the name of a socket may have.
const pathLimit = 256

// unix reads a unix_sk_entry.
func unix(m []byte) (Socket, error) {
	s := Socket{Kind: "unix", State: "open"}
	err := fields(m, func(f field) error {
		switch f.number {
		case 4:
			if state, ok := tcpStates[f.value]; ok {
				s.State = state
			}
		case 11:
			name := string(f.data[:min(len(f.data), pathLimit)])
			if rest, abstract := strings.CutPrefix(name, "\x00"); abstract {
				name = "@" + rest
			}
			s.Local = fact.Text(strings.TrimRight(name, "\x00"))
		}
		return nil
	})
	return s, err
}

// finish puts together what several files have told.
func (rd *reader) finish() {
	d := rd.d
	for i, p := range d.Processes {
		d.Processes[i].Name = rd.names[p.PID]
	}
	slices.Sort(d.Features)
	slices.SortStableFunc(d.Sockets, func(a, b Socket) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.State, b.State), cmp.Compare(a.Local, b.Local), cmp.Compare(a.Remote, b.Remote))
	})
}
