// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// license is what the kernel is told of the programs. None of the kernel's
// functions used here asks for a GPL program.
const license = "Apache-2.0"

// Offsets in struct bpf_sk_lookup, linux/bpf.h.
const (
	ctxFamily    = 8
	ctxProtocol  = 12
	ctxRemoteIP4 = 16
	ctxRemoteIP6 = 20
	ctxLocalIP4  = 40
	ctxLocalIP6  = 44
	ctxLocalPort = 60 // in the host's byte order
)

// parameters is the value of the map that tells the program what to steer. The
// addresses are in a map of their own, IPv4 mapped into IPv6, so that looking
// one up is one step.
type parameters struct {
	Version  uint32
	Port     uint32
	Flags    uint32
	Reserved uint32
}

const (
	parametersVersion = 1

	flagEvery      = 1 << 0 // every address but loopback
	flagRemoteOnly = 1 << 1
)

// Offsets in parameters.
const (
	paramPort  = 4
	paramFlags = 8
)

// Counters, by their index.
const (
	counterSteered = iota
	counterRefused
	counterCount
)

// Places on the program's stack, below its frame pointer.
const (
	stackKey    = -4
	stackLocal  = -24 // 16 bytes
	stackRemote = -40 // 16 bytes
)

// lookupProgram is the sk_lookup program. It lets pass, without an effect,
// whatever it does not hand over: it never drops.
func (m maps) lookupProgram() asm.Instructions {
	var p asm.Instructions
	p = append(p, matchPort(m.parameters.FD())...)
	p = append(p, readAddresses()...)
	p = append(p, matchAddresses(m.addresses.FD())...)
	p = append(p, assign(m.socket.FD(), m.counters.FD())...)
	return append(p,
		asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), // SK_PASS
		asm.Return(),
	)
}

// matchPort leaves the context in R6 and the parameters in R7.
func matchPort(parameters int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R1, asm.R6, ctxProtocol, asm.Word),
		asm.JNE.Imm(asm.R1, unix.IPPROTO_TCP, "pass"),
		asm.StoreImm(asm.RFP, stackKey, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.LoadMapPtr(asm.R1, parameters),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R7, paramPort, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, ctxLocalPort, asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, "pass"),
	}
}

// readAddresses writes both addresses to the stack, IPv4 mapped into IPv6.
func readAddresses() asm.Instructions {
	p := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R6, ctxFamily, asm.Word),
		asm.JEq.Imm(asm.R1, unix.AF_INET, "ip4"),
		asm.JNE.Imm(asm.R1, unix.AF_INET6, "pass"),
	}
	for word := range int16(4) {
		p = append(p,
			asm.LoadMem(asm.R1, asm.R6, ctxLocalIP6+4*word, asm.Word),
			asm.StoreMem(asm.RFP, stackLocal+4*word, asm.R1, asm.Word),
			asm.LoadMem(asm.R1, asm.R6, ctxRemoteIP6+4*word, asm.Word),
			asm.StoreMem(asm.RFP, stackRemote+4*word, asm.R1, asm.Word),
		)
	}
	p = append(p, asm.Ja.Label("read"))
	p = append(p, mapped(stackLocal, ctxLocalIP4, "ip4")...)
	return append(p, mapped(stackRemote, ctxRemoteIP4, "")...)
}

func mapped(to, from int16, label string) asm.Instructions {
	zero := asm.Mov.Imm(asm.R1, 0)
	if label != "" {
		zero = zero.WithSymbol(label)
	}
	return asm.Instructions{
		zero,
		asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, mappedWord),
		asm.HostTo(asm.BE, asm.R1, asm.Word),
		asm.StoreMem(asm.RFP, to+8, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, from, asm.Word),
		asm.StoreMem(asm.RFP, to+12, asm.R1, asm.Word),
	}
}

// mappedWord is the third word of an IPv4 address mapped into IPv6.
const mappedWord = 0xffff

// matchAddresses goes on to "take" for connections that are meant.
func matchAddresses(addresses int) asm.Instructions {
	p := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R7, paramFlags, asm.Word).WithSymbol("read"),
		asm.JSet.Imm(asm.R1, flagRemoteOnly, "fromhere"),
		asm.Ja.Label("which"),
		asm.LoadMem(asm.R2, asm.RFP, stackLocal, asm.DWord).WithSymbol("fromhere"),
		asm.LoadMem(asm.R3, asm.RFP, stackRemote, asm.DWord),
		asm.JNE.Reg(asm.R2, asm.R3, "which"),
		asm.LoadMem(asm.R2, asm.RFP, stackLocal+8, asm.DWord),
		asm.LoadMem(asm.R3, asm.RFP, stackRemote+8, asm.DWord),
		asm.JEq.Reg(asm.R2, asm.R3, "pass"),
		asm.JSet.Imm(asm.R1, flagEvery, "every").WithSymbol("which"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackLocal),
		asm.LoadMapPtr(asm.R1, addresses),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Ja.Label("take"),
	}
	return append(p, passLoopback()...)
}

// passLoopback lets 127.0.0.0/8, mapped or not, and ::1 pass.
func passLoopback() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.RFP, stackLocal, asm.DWord).WithSymbol("every"),
		asm.JNE.Imm(asm.R1, 0, "take"),
		asm.LoadMem(asm.R1, asm.RFP, stackLocal+8, asm.Word),
		asm.HostTo(asm.BE, asm.R1, asm.Word),
		asm.JEq.Imm(asm.R1, mappedWord, "mapped"),
		asm.JNE.Imm(asm.R1, 0, "take"),
		asm.LoadMem(asm.R2, asm.RFP, stackLocal+12, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.JEq.Imm(asm.R2, 1, "pass"),
		asm.Ja.Label("take"),
		asm.LoadMem(asm.R2, asm.RFP, stackLocal+12, asm.Byte).WithSymbol("mapped"),
		asm.JEq.Imm(asm.R2, 127, "pass"),
	}
}

// assign hands the connection to the socket in the map, and counts.
func assign(socket, counters int) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, stackKey, 0, asm.Word).WithSymbol("take"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.LoadMapPtr(asm.R1, socket),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnSkAssign.Call(),
		asm.Mov.Reg(asm.R9, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.FnSkRelease.Call(),
		asm.Mov.Imm(asm.R1, counterSteered),
		asm.JEq.Imm(asm.R9, 0, "count"),
		asm.Mov.Imm(asm.R1, counterRefused),
		asm.StoreMem(asm.RFP, stackKey, asm.R1, asm.Word).WithSymbol("count"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.LoadMapPtr(asm.R1, counters),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
	}
}
