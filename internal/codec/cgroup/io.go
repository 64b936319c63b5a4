package cgroup

import "bytes"

// MaxDevices is how many block devices, or network interfaces, of one group are told apart;
// others are left out.
const MaxDevices = 64

// Device is what a group has read from and written to a block device. Reads and Writes are
// None where only bytes are told.
type Device struct {
	Major, Minor          uint32
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64
}

// AppendIOStat appends the devices of io.stat of version 2 to dst.
func AppendIOStat(dst []Device, text []byte) []Device {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		name, rest := field(line)
		major, minor, ok := deviceNumber(name)
		if !ok {
			continue
		}
		var d *Device
		if dst, d = device(dst, major, minor); d == nil {
			continue
		}
		d.Reads, d.Writes = 0, 0 // a line without numbers is that of an idle device
		for len(rest) > 0 {
			var f []byte
			f, rest = field(rest)
			key, value, _ := bytes.Cut(f, []byte{'='})
			n, ok := number(value)
			if !ok {
				continue
			}
			switch string(key) {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
		}
	}
	return dst
}

// AppendBlkioBytes appends the devices of blkio.throttle.io_service_bytes of version 1, or
// adds what it says to those that dst has.
func AppendBlkioBytes(dst []Device, text []byte) []Device { return appendBlkio(dst, text, true) }

// AppendBlkioCounts does the same with blkio.throttle.io_serviced.
func AppendBlkioCounts(dst []Device, text []byte) []Device { return appendBlkio(dst, text, false) }

func appendBlkio(dst []Device, text []byte, size bool) []Device {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		name, rest := field(line)
		op, rest := field(rest)
		value, _ := field(rest)
		major, minor, ok := deviceNumber(name)
		n, isNumber := number(value)
		if ok && isNumber {
			dst = AppendBlkio(dst, Entry{Major: major, Minor: minor, Op: op, Value: n}, size)
		}
	}
	return dst
}

// Entry is one line of such a file.
type Entry struct {
	Major, Minor uint32
	Op           []byte // Read or Write; others are sums of these, seen otherwise
	Value        uint64
}

// AppendBlkio adds one entry to dst, as bytes or else as a count of requests.
func AppendBlkio(dst []Device, e Entry, size bool) []Device {
	read := bytes.EqualFold(e.Op, []byte("read"))
	if !read && !bytes.EqualFold(e.Op, []byte("write")) {
		return dst
	}
	dst, d := device(dst, e.Major, e.Minor)
	switch {
	case d == nil:
	case size && read:
		d.ReadBytes = e.Value
	case size:
		d.WriteBytes = e.Value
	case read:
		d.Reads = e.Value
	default:
		d.Writes = e.Value
	}
	return dst
}

// device returns the device of that number in dst, appended if need be; nil for one too many.
func device(dst []Device, major, minor uint32) ([]Device, *Device) {
	for i := range dst {
		if dst[i].Major == major && dst[i].Minor == minor {
			return dst, &dst[i]
		}
	}
	if len(dst) >= MaxDevices {
		return dst, nil
	}
	dst = append(dst, Device{Major: major, Minor: minor, Reads: None, Writes: None})
	return dst, &dst[len(dst)-1]
}

func deviceNumber(name []byte) (major, minor uint32, ok bool) {
	first, second, _ := bytes.Cut(name, []byte{':'})
	x, ok1 := number(first)
	y, ok2 := number(second)
	return uint32(x), uint32(y), ok1 && ok2 && x < 1<<32 && y < 1<<32
}

// Interface is what went through a network interface.
type Interface struct {
	Name                                    []byte // a part of the text that was read
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// AppendNetDev appends the interfaces of /proc/…/net/dev to dst, but for the loopback.
func AppendNetDev(dst []Interface, text []byte) []Interface {
	for len(text) > 0 && len(dst) < MaxDevices {
		var line []byte
		line, text = cutLine(text)
		name, rest, ok := bytes.Cut(line, []byte{':'})
		name = bytes.TrimSpace(name)
		if !ok || len(name) == 0 || string(name) == "lo" {
			continue
		}
		var n [12]uint64
		for i := range n {
			var f []byte
			f, rest = field(rest)
			if n[i], ok = number(f); !ok {
				break
			}
		}
		if ok {
			dst = append(dst, Interface{
				Name: name, RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
				TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
			})
		}
	}
	return dst
}
