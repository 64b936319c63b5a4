package archive

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/packed"
)

// What a block's index says of stored fields is bounded, whatever comes in: a push may bring
// a million names in one block.
const (
	// maxFacets is how many fields of a block are counted by value, and maxValues how many
	// values of each. A field with more is searched for.
	maxFacets     = 16
	maxValues     = 64
	maxValueBytes = 128
	// maxNames is how many fields are told apart, and maxNameBytes what their names may take
	// together. In a block with more any record may have any field.
	maxNames     = 128
	maxNameBytes = 2 << 10
	// maxCountBytes is what the values of all facets may take together.
	maxCountBytes = 4 << 10
	// A block's index has at most a part in fieldShare of its text for them, or
	// minFieldBytes of a small one.
	fieldShare    = 64
	minFieldBytes = 512
	// heldFieldBytes is up to how many bytes are held in memory for each block. What takes
	// more is read from the index when a query asks.
	heldFieldBytes = 512
	// countBytes is about what a number of records takes.
	countBytes = 3
	// maxSaidBytes is up to how many bytes it is remembered how a field looked in the record
	// before: a stream has room for as much of each field while it lasts. Its name may take half.
	maxSaidBytes = 128
)

// Fields is what is known of the stored fields of a block without reading it.
type Fields struct {
	// Facets counts records by the value of a field, for fields with few values; by name.
	Facets []Facet
	// Open names fields with too many values for a facet.
	Open []string
	// Many is set when there are too many fields to name, or when what is known of them
	// cannot be read: any record may have any field. Then there are no Facets.
	Many bool
}

// Facet counts a block's records by the value of one field. Those without it are the rest.
type Facet struct {
	Name   string
	Values []FacetValue
}

// FacetValue is one value of a field and how many records have it.
type FacetValue struct {
	Value   string
	Records int
}

// bytes is about what a facet takes beside its name.
func (f *Facet) bytes() (n int) {
	for i := range f.Values {
		n += len(f.Values[i].Value) + countBytes
	}
	return n
}

// fieldCounter makes the Fields of a block as its records come in.
type fieldCounter struct {
	Fields
	isOpen                map[string]int // Open, and where there
	tasks                 bool           // some field says which task its record belongs to
	nameBytes, valueBytes int
	// order has the fields of the record before, most of which the next one has in the same
	// order, and at is of how many the present one has had.
	order []place
	at    int
}

// place is where a field of a record is counted.
type place struct {
	name  string
	facet int  // of Facets; -1 if there is none
	task  bool // it says which task its record belongs to
	// said is how the field begins in a line, the first start bytes; or all of it as it was
	// last, if that value was counted: value is the place of that in the facet. It is empty if
	// the name is long.
	said  []byte
	start int
	value int
}

func (c *fieldCounter) reset() {
	clear(c.isOpen)
	for i := range c.order {
		c.order[i] = place{said: c.order[i].said[:0]}
	}
	*c = fieldCounter{isOpen: c.isOpen, order: c.order[:0]}
}

// countAll counts the fields of a record. Those that say which task it belongs to go to the
// filter as well, if there is one.
func (c *fieldCounter) countAll(l *kept.Line, filter *gram.Builder) {
	c.at = 0
	for fields := l.Reader(); ; {
		task, value, ok := c.asBefore(&fields)
		if !ok {
			var name []byte
			if name, value, ok = fields.Next(); !ok {
				return
			}
			task = c.count(name, value)
		}
		if task && filter != nil {
			filter.Add(value)
		}
	}
}

// asBefore counts the next field of a record if it is the one that the record before had there,
// and tells whether it says which task that belongs to. Many have the same value, too.
func (c *fieldCounter) asBefore(fields *kept.FieldReader) (task bool, value []byte, ok bool) {
	if c.at >= len(c.order) {
		return false, nil, false
	}
	p := &c.order[c.at]
	if len(p.said) > p.start && fields.Take(p.said) {
		c.at++
		c.Facets[p.facet].Values[p.value].Records++
		return false, nil, true
	}
	if value, ok = fields.Value(p.said[:p.start]); ok {
		c.at++
		task = c.countAt(p, value)
	}
	return task, value, ok
}

// count counts one field of a record, and tells whether it says which task that belongs to.
func (c *fieldCounter) count(name, value []byte) (task bool) {
	if c.Many {
		return isTaskField(string(name))
	}
	i := c.at
	c.at++
	if i < len(c.order) && c.order[i].name == string(name) {
		return c.countAt(&c.order[i], value)
	}
	p := c.find(name, value)
	switch {
	case c.Many:
		return p.task
	case i >= maxNames:
		return c.countAt(&p, value)
	case i == len(c.order):
		c.order = slices.Grow(c.order, 1)[:i+1]
	}
	if p.said = c.order[i].said[:0]; len(name) <= maxSaidBytes/2 {
		p.said = kept.AppendStart(p.said, name)
	}
	p.start = len(p.said)
	c.order[i] = p
	return c.countAt(&c.order[i], value)
}

// countAt is count for a field whose place is known.
func (c *fieldCounter) countAt(p *place, value []byte) (task bool) {
	task, p.said = p.task, p.said[:p.start] // p changes with the facets
	c.countValue(p, value)
	if p.facet >= 0 && !task && p.start > 0 && p.start+len(value) < maxSaidBytes {
		p.said = kept.AppendEnd(p.said, value)
	}
	return task
}

// find returns where a field is counted, which it begins with a value if it is a new one.
func (c *fieldCounter) find(name, value []byte) place {
	p := place{facet: -1, task: isTaskField(string(name))}
	for i := range c.Facets {
		if c.Facets[i].Name == string(name) {
			p.name, p.facet = c.Facets[i].Name, i
			return p
		}
	}
	if i, ok := c.isOpen[string(name)]; ok {
		p.name = c.Open[i]
		return p
	}
	c.tasks = c.tasks || p.task
	if c.nameBytes += len(name) + countBytes; len(c.Facets)+len(c.Open) == maxNames || c.nameBytes > maxNameBytes {
		c.giveUp()
		return p
	}
	p.name = string(name)
	if len(c.Facets) == maxFacets || len(value) > maxValueBytes {
		c.open(p.name)
		return p
	}
	p.facet, _ = slices.BinarySearchFunc(c.Facets, p.name, func(f Facet, name string) int { return strings.Compare(f.Name, name) })
	c.Facets = slices.Insert(c.Facets, p.facet, Facet{Name: p.name})
	for i := range c.order {
		if c.order[i].facet >= p.facet {
			c.order[i].facet++
		}
	}
	return p
}

// mayHaveTasks tells whether a record may have a field that says which task it belongs to.
func (c *fieldCounter) mayHaveTasks() bool { return c.tasks || c.Many }

// countValue counts one value of a field, if that is counted by its values.
func (c *fieldCounter) countValue(p *place, value []byte) {
	if p.facet < 0 {
		return
	}
	f := &c.Facets[p.facet]
	for k := range f.Values {
		if f.Values[k].Value == string(value) {
			f.Values[k].Records++
			p.value = k
			return
		}
	}
	if len(f.Values) == maxValues || len(value) > maxValueBytes {
		c.valueBytes -= f.bytes()
		c.openFacet(f)
		return
	}
	p.value = len(f.Values)
	f.Values = append(f.Values, FacetValue{string(value), 1})
	for c.valueBytes += len(value) + countBytes; c.valueBytes > maxCountBytes; {
		largest := c.largest()
		c.valueBytes -= largest.bytes()
		c.openFacet(largest)
	}
}

// largest returns the facet that takes the most.
func (f *Fields) largest() *Facet {
	most := &f.Facets[0]
	for i := range f.Facets {
		if f.Facets[i].bytes() > most.bytes() {
			most = &f.Facets[i]
		}
	}
	return most
}

// openFacet gives up counting a field by its values.
func (c *fieldCounter) openFacet(f *Facet) {
	name := f.Name
	gone := slices.IndexFunc(c.Facets, func(f Facet) bool { return f.Name == name })
	c.Facets = slices.Delete(c.Facets, gone, gone+1)
	for i := range c.order {
		if p := &c.order[i]; p.facet == gone {
			p.facet, p.said = -1, p.said[:p.start]
		} else if p.facet > gone {
			p.facet--
		}
	}
	c.open(name)
}

// open notes a field that is not counted.
func (c *fieldCounter) open(name string) {
	if c.isOpen == nil {
		c.isOpen = map[string]int{}
	}
	c.isOpen[name] = len(c.Open)
	c.Open = append(c.Open, name)
}

// giveUp stops telling fields apart. The facets go too: a query's label may stand for
// several fields, of which those without a name here may be one.
func (c *fieldCounter) giveUp() {
	c.reset()
	c.Many = true
}

// fields returns what was counted, in a form that stays as it is when more is counted.
func (c *fieldCounter) fields() Fields {
	f := Fields{Facets: slices.Clone(c.Facets), Open: slices.Clone(c.Open), Many: c.Many}
	for i := range f.Facets {
		f.Facets[i].Values = slices.Clone(f.Facets[i].Values)
	}
	return f
}

// appendTo appends what was counted, in the form of the index, as far as a block with so
// much text may have it.
func (c *fieldCounter) appendTo(dst []byte, text int) []byte {
	start := len(dst)
	f := Fields{Facets: slices.Clone(c.Facets), Open: slices.Clone(c.Open), Many: c.Many}
	for {
		if dst = appendFields(dst[:start], &f); len(dst)-start <= max(text/fieldShare, minFieldBytes) {
			return dst
		}
		if len(f.Facets) == 0 {
			return appendFields(dst[:start], &Fields{Many: true})
		}
		name := f.largest().Name
		f.Facets = slices.DeleteFunc(f.Facets, func(f Facet) bool { return f.Name == name })
		f.Open = append(f.Open, name)
	}
}

// appendFields appends f in the form of the index. Nothing at all stands for no fields.
func appendFields(dst []byte, f *Fields) []byte {
	switch {
	case f.Many:
		return append(dst, 1)
	case len(f.Facets)+len(f.Open) == 0:
		return dst
	}
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, uint64(len(f.Facets)))
	for _, f := range f.Facets {
		dst = appendString(dst, f.Name)
		dst = binary.AppendUvarint(dst, uint64(len(f.Values)))
		for _, v := range f.Values {
			dst = appendString(dst, v.Value)
			dst = binary.AppendUvarint(dst, uint64(v.Records))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Open)))
	for _, name := range f.Open {
		dst = appendString(dst, name)
	}
	return dst
}

// parseFields decodes what appendFields made. Of what does not follow the format nothing is
// known.
func parseFields(b []byte) (f Fields) {
	if len(b) == 0 {
		return f
	}
	if b[0] != 0 {
		return Fields{Many: true}
	}
	r := fieldReader{reader{packed.Reader{Rest: b[1:]}}, string(b)}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		f.Facets = append(f.Facets, r.facet())
	}
	for n := r.Count(); n > 0 && !r.Failed(); n-- {
		f.Open = append(f.Open, r.string())
	}
	if r.Failed() || len(r.Rest) > 0 {
		return Fields{Many: true}
	}
	return f
}

// fieldReader is a reader whose strings are parts of one copy.
type fieldReader struct {
	reader
	text string // of what ends where b does
}

func (r *fieldReader) string() string {
	n := r.Count()
	at := len(r.text) - len(r.Rest)
	r.Rest = r.Rest[n:]
	return r.text[at : at+n]
}

func (r *fieldReader) facet() Facet {
	f := Facet{Name: r.string()}
	n := r.Count()
	f.Values = make([]FacetValue, 0, min(n, maxValues))
	for ; n > 0 && !r.Failed(); n-- {
		f.Values = append(f.Values, FacetValue{Value: r.string(), Records: r.int()})
	}
	return f
}

// settle notes where the entry of b is in its index, from where a long list of fields can
// be read again, so that memory need not hold it.
func (b *block) settle(at int64, size int) {
	b.entryAt, b.entryBytes = at, size
	if len(b.fields) > heldFieldBytes {
		b.fields, b.unheld = nil, true
	}
}

// Fields returns what is known of the stored fields of block i.
func (v *View) Fields(i int) Fields {
	if i == len(v.blocks) {
		return v.tailFields
	}
	b := &v.blocks[i]
	if !b.unheld {
		return parseFields(b.fields)
	}
	fields, err := v.readFields(b)
	if err != nil {
		return Fields{Many: true} // the text tells, if it is still there
	}
	return parseFields(fields)
}

// readFields reads them from the index. It does not keep the file: a query asks this of all
// streams before it reads any.
func (v *View) readFields(b *block) ([]byte, error) {
	f, err := v.s.a.opts.Tree.OpenRead(v.s.dir + b.segment.name(idxExt))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entry := make([]byte, b.entryBytes)
	if _, err := f.ReadAt(entry, b.entryAt); err != nil {
		return nil, err
	}
	e, _, err := parseEntry(entry)
	if err == nil && e.First != b.First {
		err = errEntry
	}
	return e.fields, err
}
