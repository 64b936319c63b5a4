package secret

const (
	minCard = 13
	maxCard = 19
)

// mayCard tells whether somewhere digits, with single separators or none, are enough.
func mayCard(text []byte) bool {
	for from := 0; ; {
		start, end := run(text, card, from, minCard)
		if start < 0 {
			return false
		}
		digits := 0
		for _, b := range text[start:end] {
			if is(b, digit) {
				digits++
			}
		}
		if digits >= minCard {
			return true
		}
		from = end
	}
}

// appendCards appends the numbers of cards.
func appendCards(dst []Place, text []byte) []Place {
	for from := 0; ; {
		start, end := run(text, card, from, minCard)
		if start < 0 {
			return dst
		}
		for i := start; i+minCard <= end; {
			if !is(text[i], digit) {
				i++
				continue
			}
			next := skip(text, digit, i)
			if to := cardAt(text, i); to > 0 {
				dst = append(dst, Place{Start: i, End: to})
				next = to
			}
			i = next
		}
		from = end
	}
}

// midNumber tells whether a number that begins at i is part of a longer word, or of the
// decimals of another.
func midNumber(text []byte, i int) bool {
	return inWord(text, i) || i >= 2 && text[i-1] == '.' && is(text[i-2], digit)
}

// groups are the ways in which digits are printed on cards.
var groups = [...][]int{{4, 4, 4, 4}, {4, 4, 4, 4, 3}, {4, 6, 5}, {4, 6, 4}}

// cardAt returns where the number of a card that begins at i ends, 0 if there is none.
func cardAt(text []byte, i int) int {
	if midNumber(text, i) {
		return 0
	}
	var digits [maxCard]byte
	switch end := skip(text, digit, i); {
	case end-i > maxCard:
		return 0
	case end-i >= minCard:
		if n := copy(digits[:], text[i:end]); ended(text, end) && isCard(digits[:n]) {
			return end
		}
		return 0
	case end-i != 4 || end == len(text):
		return 0
	}
	for _, g := range groups {
		if end, n := grouped(&digits, text, i, g); end > 0 && ended(text, end) && isCard(digits[:n]) {
			return end
		}
	}
	return 0
}

// grouped copies digits that stand in groups with one separator between each; end is 0 if
// they do not.
func grouped(digits *[maxCard]byte, text []byte, i int, groups []int) (end, n int) {
	separator := text[i+groups[0]]
	if separator != ' ' && separator != '-' {
		return 0, 0
	}
	for k, size := range groups {
		if k > 0 {
			if i >= len(text) || text[i] != separator {
				return 0, 0
			}
			i++
		}
		if skip(text, digit, i)-i != size {
			return 0, 0
		}
		n += copy(digits[n:], text[i:i+size])
		i += size
	}
	return i, n
}

// ended tells whether a number ends at i, and is not the whole part of another.
func ended(text []byte, i int) bool {
	if i == len(text) {
		return true
	}
	return !is(text[i], letter|digit) && (text[i] != '.' || i+1 == len(text) || !is(text[i+1], digit))
}

// isCard tells whether someone issues cards with such a number, and its last digit is right.
func isCard(digits []byte) bool {
	if !issued(digits) {
		return false
	}
	sum := 0
	for i, b := range digits {
		d := int(b - '0')
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// issuer is a range of the first four digits, and of how many digits numbers have.
type issuer struct{ first, last, least, most int }

var issuers = [...]issuer{
	{4000, 4999, 13, 13}, {4000, 4999, 16, 16}, {4000, 4999, 19, 19}, // Visa
	{5100, 5599, 16, 16}, {2221, 2720, 16, 16}, // Mastercard
	{3400, 3499, 15, 15}, {3700, 3799, 15, 15}, // American Express
	{3000, 3059, 14, 19}, {3095, 3095, 14, 19}, {3600, 3699, 14, 19}, {3800, 3999, 14, 19}, // Diners Club
	{6011, 6011, 16, 19}, {6440, 6599, 16, 19}, // Discover
	{3528, 3589, 16, 19},                       // JCB
	{6200, 6299, 16, 19}, {8100, 8199, 16, 19}, // UnionPay
	{2200, 2204, 16, 19},                                             // Mir
	{5080, 5089, 16, 16}, {6000, 6099, 16, 16}, {8200, 8299, 16, 16}, // RuPay
	{5018, 5018, 13, 19}, {5020, 5020, 13, 19}, {5038, 5038, 13, 19}, {5893, 5893, 13, 19}, // Maestro
	{6304, 6304, 13, 19}, {6759, 6759, 13, 19}, {6761, 6763, 13, 19},
}

func issued(digits []byte) bool {
	first := 0
	for _, b := range digits[:4] {
		first = 10*first + int(b-'0')
	}
	for _, r := range issuers {
		if r.first <= first && first <= r.last && r.least <= len(digits) && len(digits) <= r.most {
			return true
		}
	}
	return false
}
