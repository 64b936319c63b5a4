package pickle

import (
	"strconv"
)

// The parts of an object are its items, in this order; one that it has not is node 0, None.
const (
	classPart = iota
	argsPart
	statePart
	listPart
	dictPart
	parts
)

// class pushes a class or function by its name, which is what all of them are here.
func (d *Decoder) class(module, name []byte) {
	from := len(d.arena)
	if !d.room(len(module) + 1 + len(name)) {
		return
	}
	d.arena = append(d.arena, module...)
	d.arena = append(d.arena, '.')
	d.arena = append(d.arena, name...)
	d.push(d.made(Class, from))
}

func (d *Decoder) stackClass() {
	both := d.some(2)
	if d.err != nil || d.nodes[both[0]].kind != Text || d.nodes[both[1]].kind != Text {
		d.fail(Malformed)
		return
	}
	d.class(d.bytes(both[0]), d.bytes(both[1]))
}

// inst takes a class by its lines, and its arguments down to the mark.
func (d *Decoder) inst() {
	module, name := d.line(), d.line()
	d.collect(Tuple, d.popMark())
	d.class(module, name)
	if both := d.some(2); d.err == nil {
		d.call(both[1], both[0])
	}
}

// obj takes a class and its arguments down to the mark.
func (d *Decoder) obj() {
	above := d.popMark()
	if len(above) == 0 {
		d.fail(Malformed)
		return
	}
	class := above[0]
	d.collect(Tuple, above[1:])
	d.call(class, d.pop())
}

func (d *Decoder) reduce() {
	if both := d.some(2); d.err == nil {
		d.call(both[0], both[1])
	}
}

func (d *Decoder) newWithKeywords() {
	all := d.some(3)
	if d.err != nil {
		return
	}
	class, args, keywords := all[0], all[1], all[2]
	if d.count(keywords) > 0 {
		args = d.tuple(args, keywords)
	}
	d.call(class, args)
}

func (d *Decoder) tuple(items ...uint32) uint32 {
	n := d.add(node{kind: Tuple})
	d.extend(n, items)
	return n
}

// call pushes what a call would have made: a value where that is known, else an object.
func (d *Decoder) call(class, args uint32) {
	if d.nodes[args].kind != Tuple {
		d.fail(Malformed)
		return
	}
	if !d.spend(0) {
		return
	}
	if name := simpleName(d.bytes(class)); d.nodes[class].kind == Class && len(name) <= maxKnownName {
		if string(name) == "copyreg._reconstructor" || string(name) == "copy_reg._reconstructor" {
			d.reconstruct(args)
			return
		}
		n, ok := d.construct(name, args)
		if d.err != nil {
			return
		}
		if ok {
			d.push(n)
			return
		}
	}
	d.object(class, args)
}

// reconstruct pushes an object as protocols 0 and 1 make it: of its class, the class of what
// is built in below that, and the value that it has as such.
func (d *Decoder) reconstruct(args uint32) {
	base := d.tuple()
	if value := d.item(args, 2); d.nodes[value].kind != None {
		d.extend(base, []uint32{value})
	}
	d.object(d.item(args, 0), base)
}

func (d *Decoder) object(class, args uint32) {
	n := d.add(node{kind: Object})
	d.extend(n, []uint32{parts - 1: 0, classPart: class, argsPart: args})
	d.stack = append(d.stack, n)
}

// part returns a part of an object, which is made if it is not there yet.
func (d *Decoder) part(n uint32, part int, kind Kind) uint32 {
	place := &d.items[int(d.runs[d.nodes[n].a].start)+part]
	if *place == 0 {
		*place = d.add(node{kind: kind})
	}
	return *place
}

// build gives an object its state. Of values that are known it says nothing new.
func (d *Decoder) build() {
	state, n := d.pop(), *d.top()
	if d.err != nil || d.nodes[n].kind != Object {
		return
	}
	d.items[int(d.runs[d.nodes[n].a].start)+statePart] = state
	if class := d.item(n, classPart); d.nodes[class].kind == Class && string(d.bytes(class)) == "uuid.UUID" {
		if text, ok := d.uuid(state); ok {
			*d.top() = d.add(text)
			d.replace(n, *d.top())
		}
	}
}

// replace makes the memo speak of another node.
func (d *Decoder) replace(n, by uint32) {
	for i := len(d.memo) - 1; i >= 0 && i >= len(d.memo)-8; i-- { // it was made just before
		if d.memo[i] == n+1 {
			d.memo[i] = by + 1
		}
	}
}

func (d *Decoder) persistentLine() {
	from := len(d.arena)
	d.arena = append(d.arena, d.line()...)
	d.persistent(d.add(d.made(Bytes, from)))
}

// persistent pushes what only the sender's program could find.
func (d *Decoder) persistent(id uint32) {
	from := len(d.arena)
	d.arena = append(d.arena, "persistent id"...)
	class := d.add(d.made(Class, from))
	d.object(class, d.tuple(id))
}

// extension pushes a class of the sender's registry, of which only the number is known.
func (d *Decoder) extension(number uint64) {
	from := len(d.arena)
	d.arena = strconv.AppendUint(append(d.arena, "extension "...), number, 10)
	d.push(d.made(Class, from))
}
