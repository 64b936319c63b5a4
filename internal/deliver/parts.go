package deliver

import "github.com/weirlog/weir/internal/record"

// Parts sends the records of a batch in requests within bounds. What a receiver does not want
// of a request is found by halving it. After an error it goes on where it was when the
// batch comes again, also where other streams came between. The zero value has no bounds.
type Parts struct {
	// MaxRecords and MaxBytes bound a request; a record that is larger goes alone.
	MaxRecords, MaxBytes int

	stream   string
	progress                     // of the present batch
	begun    map[string]progress // of batches of other streams that failed, maxUnfinished at most

	ends    []int    // of the records, encoded behind each other
	numbers []uint64 // of the records
}

// progress is how much of a batch is done.
type progress struct {
	next   uint64 // all before it are done; 0: nothing is
	result Result // of those
}

// maxUnfinished is of how many streams it is remembered. Of more, records are sent again.
const maxUnfinished = 1000

// Verdict is what a receiver does with a request that it has answered for good.
type Verdict struct {
	// Refused is how many of its records it will never take, and Why a short constant phrase.
	Refused int
	Why     string
	// Bad says that it takes none of them, for some that it does not want: the others may be sent
	// without these.
	Bad bool
}

// Encode prepares for the records of b that were chosen and did not go out before. Encode is called
// for each, and appends it to the text of all; it returns where that ends.
func (p *Parts) Encode(b *record.Batch, encode func(i int) (end int)) {
	p.begin(b)
	for i := range b.Records {
		if number := b.First + uint64(i); b.Records[i].Flags&record.Dropped == 0 && p.next <= number {
			p.ends, p.numbers = append(p.ends, encode(i)), append(p.numbers, number)
		}
	}
}

func (p *Parts) begin(b *record.Batch) {
	p.ends, p.numbers = p.ends[:0], p.numbers[:0]
	p.change(b.Stream.ID)
	if p.next < b.First || p.next > b.First+uint64(len(b.Records)) {
		p.progress = progress{}
	}
}

// change keeps how far the batch of the stream before is, and goes on with that of another.
func (p *Parts) change(stream string) {
	if stream == p.stream {
		return
	}
	if p.next > 0 {
		if p.begun == nil {
			p.begun = map[string]progress{}
		}
		for other := range p.begun {
			if len(p.begun) < maxUnfinished {
				break
			}
			delete(p.begun, other)
		}
		p.begun[p.stream] = p.progress
	}
	p.stream, p.progress = stream, p.begun[stream]
	delete(p.begun, stream)
}

// Send sends what was encoded: send gets the part of the text, and how many records it has.
func (p *Parts) Send(send func(from, to, records int) (Verdict, error)) (Result, error) {
	for first := 0; first < len(p.ends); {
		last := first + 1
		for last < len(p.ends) && (p.MaxRecords == 0 || last-first < p.MaxRecords) && (p.MaxBytes == 0 || p.ends[last]-p.start(first) <= p.MaxBytes) {
			last++
		}
		if err := p.part(first, last, send); err != nil {
			return Result{}, err
		}
		first = last
	}
	result := p.result
	p.progress = progress{}
	return result, nil
}

func (p *Parts) start(k int) int {
	if k == 0 {
		return 0
	}
	return p.ends[k-1]
}

// part sends the records from first to last.
func (p *Parts) part(first, last int, send func(from, to, records int) (Verdict, error)) error {
	v, err := send(p.start(first), p.ends[last-1], last-first)
	if err != nil {
		return err
	}
	if v.Bad && last-first > 1 {
		half := first + (last-first)/2
		if err := p.part(first, half, send); err != nil {
			return err
		}
		return p.part(half, last, send)
	}
	if v.Bad {
		v.Refused = 1
	}
	if v.Refused > 0 {
		p.result.Refused += min(v.Refused, last-first)
		p.result.Why = v.Why
	}
	p.next = p.numbers[last-1] + 1
	return nil
}
