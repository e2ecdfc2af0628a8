// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// natPriority is before kube-proxy's and most others' NAT, at dstnat (-100):
// the first chain that translates a connection is the only one.
const natPriority = -110

// natFamily is an IP version as nftables writes it.
type natFamily struct {
	family   nftables.TableFamily
	protocol uint32 // of NAT
	to       uint32 // the offset of the destination address in the IP header
	length   uint32
	loopback netip.Prefix
}

var natFamilies = []natFamily{
	{nftables.TableFamilyIPv4, unix.NFPROTO_IPV4, 16, 4, netip.MustParsePrefix("127.0.0.0/8")},
	{nftables.TableFamilyIPv6, unix.NFPROTO_IPV6, 24, 16, netip.MustParsePrefix("::1/128")},
}

func (f natFamily) table() *nftables.Table {
	return &nftables.Table{Name: NATTable, Family: f.family}
}

// On sends new connections that the target takes to another port of the same
// address, in place of what was sent before; what is established stays as it
// is. It makes the tables that are missing and changes all rules of a family
// at once. Connections that the machine makes to its own addresses are left
// alone with RemoteOnly, whatever address they come from. What the machine
// sends to another address, such as a service's, is not taken, though another
// chain may turn it to this one later.
func (n NAT) On(t Target, to uint16) error {
	err := t.check()
	if err == nil && to == 0 {
		err = errors.New("there is no port to steer to")
	}
	if err == nil {
		err = n.with(func(c *nftables.Conn) error { return natOn(c, t.sorted(), to) })
	}
	if err != nil {
		return fmt.Errorf("translating port %d to %d: %w", t.Port, to, err)
	}
	return nil
}

func natOn(c *nftables.Conn, t Target, to uint16) error {
	before, err := natTables(c)
	if err != nil {
		return err
	}
	for _, f := range natFamilies {
		switch {
		case f.wanted(t):
			f.write(c, hooksFor(t), f.rules(t, to))
		case slices.Contains(before, f):
			f.write(c, idleHooks, keeper())
		}
	}
	// Both families go in one batch: all of it happens, or nothing.
	return c.Flush()
}

// wanted says whether the target has connections of the family.
func (f natFamily) wanted(t Target) bool {
	if len(t.Addresses) == 0 {
		_, err := os.Stat("/proc/self/net/if_inet6")
		return f.length == 4 || err == nil
	}
	v4, v6 := t.families()
	return f.length == 4 && v4 || f.length == 16 && v6
}

// hooksFor are where connections of the target come by: from outside, and from
// the machine itself.
func hooksFor(t Target) map[string]*nftables.ChainHook {
	hooks := map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting}
	if !t.RemoteOnly {
		hooks["output"] = nftables.ChainHookOutput
	}
	return hooks
}

// write replaces the rules of a family, and makes what is missing of chains.
func (f natFamily) write(c *nftables.Conn, hooks map[string]*nftables.ChainHook, rules []*nftables.Rule) {
	table := c.AddTable(f.table())
	c.FlushTable(table)
	for name, hook := range hooks {
		chain := c.AddChain(&nftables.Chain{
			Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook,
			Priority: nftables.ChainPriorityRef(natPriority),
		})
		for _, r := range rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r.Exprs, UserData: r.UserData})
		}
	}
}

// idleHooks are where keeper's rule goes.
var idleHooks = hooksFor(Target{RemoteOnly: true})

// keeper is a rule without an effect. It asks for the state of connections, so
// the kernel goes on tracking them where nobody else wants that; otherwise the
// translated ones would be forgotten, and reset, with the last rule that
// translates.
func keeper() []*nftables.Rule {
	return []*nftables.Rule{{
		Exprs:    []expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: 1}},
		UserData: userdata.AppendString(nil, userdata.TypeComment, noteKeeper),
	}}
}

func (f natFamily) rules(t Target, to uint16) []*nftables.Rule {
	if len(t.Addresses) == 0 {
		return []*nftables.Rule{f.rule(f.toLocal(), natNote{port: t.Port, to: to, remoteOnly: t.RemoteOnly})}
	}
	var rules []*nftables.Rule
	for _, a := range t.Addresses {
		if uint32(len(a.AsSlice())) == f.length {
			rules = append(rules, f.rule(f.toAddress(a), natNote{port: t.Port, to: to, at: a, remoteOnly: t.RemoteOnly}))
		}
	}
	return rules
}

func (f natFamily) rule(match []expr.Any, note natNote) *nftables.Rule {
	match = append(match, newConnectionTo(note.port)...)
	match = append(match,
		&expr.Counter{},
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(note.to)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: f.protocol, RegProtoMin: 1, Specified: true},
	)
	return &nftables.Rule{Exprs: match, UserData: userdata.AppendString(nil, userdata.TypeComment, note.String())}
}

func (f natFamily) toAddress(a netip.Addr) []expr.Any {
	return []expr.Any{f.destination(), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()}}
}

// toLocal matches the machine's own addresses but loopback.
func (f natFamily) toLocal() []expr.Any {
	mask := make([]byte, f.length)
	for i := range f.loopback.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		f.destination(),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: f.length, Mask: mask, Xor: make([]byte, f.length)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: f.loopback.Addr().AsSlice()},
	}
}

func (f natFamily) destination() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: f.to, Len: f.length}
}

// newConnectionTo matches the first segment to a port. It matters where nothing
// tracked connections before: established ones would pass for new, and be
// turned away in their middle.
func newConnectionTo(port uint16) []expr.Any {
	const syn, ack = 0x02, 0x10
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
	}
}

// Off removes the rules that translate. Established connections go on being translated as
// long as the tables are there. It is no error when nothing is there.
func (n NAT) Off() error {
	if err := n.eachTable(func(c *nftables.Conn, f natFamily) { f.write(c, idleHooks, keeper()) }); err != nil {
		return fmt.Errorf("removing the rules of the tables %s: %w", NATTable, err)
	}
	return nil
}

// Detach removes the tables. Connections that are still translated may break:
// it is for when the process they were sent to has ended. It is no error when
// nothing is there.
func (n NAT) Detach() error {
	if err := n.eachTable(func(c *nftables.Conn, f natFamily) { c.DelTable(f.table()) }); err != nil {
		return fmt.Errorf("removing the tables %s: %w", NATTable, err)
	}
	return nil
}

func (n NAT) eachTable(do func(*nftables.Conn, natFamily)) error {
	return n.with(func(c *nftables.Conn) error {
		found, err := natTables(c)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, f := range found {
			do(c, f)
		}
		return c.Flush()
	})
}

func natTables(c *nftables.Conn) ([]natFamily, error) {
	var found []natFamily
	for _, f := range natFamilies {
		tables, err := c.ListTablesOfFamily(f.family)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			if t.Name == NATTable {
				found = append(found, f)
			}
		}
	}
	return found, nil
}

// State tells what is there. Idle is where nothing is
// translated any more but what is established.
func (n NAT) State() (State, error) {
	var s State
	err := n.with(func(c *nftables.Conn) (err error) {
		s, err = natState(c)
		return err
	})
	if err != nil {
		return State{}, fmt.Errorf("looking at the tables %s: %w", NATTable, err)
	}
	return s, nil
}

func natState(c *nftables.Conn) (State, error) {
	found, err := natTables(c)
	if err != nil || len(found) == 0 {
		return State{Stage: Nothing}, err
	}
	s := State{Stage: Idle}
	for _, f := range found {
		chains, err := c.ListChainsOfTableFamily(f.family)
		if err != nil {
			return State{}, err
		}
		for _, chain := range chains {
			if chain.Table.Name != NATTable {
				continue
			}
			rules, err := c.GetRules(f.table(), chain)
			if err != nil {
				return State{}, err
			}
			for _, r := range rules {
				if err := s.add(r); err != nil {
					return State{}, err
				}
			}
		}
	}
	s.Target = s.Target.sorted()
	return s, nil
}

// add reads a rule into the state.
func (s *State) add(r *nftables.Rule) error {
	text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	if text == noteKeeper {
		return nil
	}
	note, err := parseNote(text)
	if err != nil {
		return fmt.Errorf("%w: a rule with the comment %q", ErrDiffers, text)
	}
	s.Stage, s.ToPort = Steering, note.to
	s.Target.Port, s.Target.RemoteOnly = note.port, note.remoteOnly
	if note.at.IsValid() {
		s.Target.Addresses = append(s.Target.Addresses, note.at)
	}
	for _, e := range r.Exprs {
		if counter, is := e.(*expr.Counter); is {
			s.Steered += counter.Packets // a NAT chain sees one of each connection
		}
	}
	return nil
}

// with opens a connection to nftables in the namespace. The namespace is left
// out when it is the caller's own, which needs fewer rights.
func (n NAT) with(do func(*nftables.Conn) error) error {
	var options []nftables.ConnOption
	needed := []capability{capNetAdmin}
	if n.NetNS != "" {
		ns, err := openNetNS(n.NetNS)
		if err != nil {
			return err
		}
		defer ns.Close()
		if !ownNetNS(ns) {
			options = append(options, nftables.WithNetNSFd(int(ns.Fd())))
			needed = append(needed, capSysAdmin)
		}
	}
	c, err := nftables.New(append(options, nftables.AsLasting())...)
	if err == nil {
		err = errors.Join(do(c), c.CloseLasting())
	}
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w translate ports by nftables: %w", ErrKernel, err)
	case err != nil:
		return refused(err, needed...)
	}
	return nil
}
